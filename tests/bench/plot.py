"""Draws how the cost grows, as an SVG: one small picture for each series, both axes logarithmic."""

import math

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 300, 210, 52, 42, 26
COLUMNS = 3
STYLE = """text { font: 11px sans-serif; fill: #333 } .title { font-weight: bold }
.grid { stroke: #ddd } .curve { fill: none; stroke: #06c; stroke-width: 2 } circle { fill: #06c }
.end { text-anchor: end } .middle { text-anchor: middle }"""


def readable(ns):
    for unit, size in ("s", 1e9), ("ms", 1e6), ("us", 1e3):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


class Scale:
    """Maps values to a length. Zero, which has no logarithm, stands where one half would."""

    def __init__(self, values, start, end):
        values = [self.log(value) for value in values]
        self.low, self.high = min(values), max(values)
        self.start, self.end = start, end

    @staticmethod
    def log(value):
        return math.log10(max(value, 0.5))

    def __call__(self, value):
        if self.high == self.low:
            return (self.start + self.end) / 2
        return self.start + (self.log(value) - self.low) / (self.high - self.low) * (self.end - self.start)


def powers(values):
    """The powers of ten that enclose the values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10 ** power for power in range(low, max(high, low + 1) + 1)]


def panel(axis, points):
    """One picture: points are pairs of a value and nanoseconds."""
    grid = powers([ns for _, ns in points])
    across = Scale([value for value, _ in points], LEFT, WIDTH - 20)
    down = Scale(grid, HEIGHT - BOTTOM, TOP)
    parts = [f'<text class="title" x="{LEFT}" y="14">{axis}</text>']
    for line in grid:
        parts.append(f'<path class="grid" d="M{LEFT} {down(line):.1f}H{WIDTH - 20}"/>'
                     f'<text class="end" x="{LEFT - 6}" y="{down(line) + 4:.1f}">{readable(line)}</text>')
    corners = " ".join(f"{across(value):.1f},{down(ns):.1f}" for value, ns in points)
    parts.append(f'<polyline class="curve" points="{corners}"/>')
    for number, (value, ns) in enumerate(points):
        x, y = across(value), down(ns)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{value:,}: {readable(ns)}</title></circle>'
                     f'<text class="middle" x="{x:.1f}" y="{HEIGHT - BOTTOM + 16 + 12 * (number % 2)}">{value:,}</text>')
    return "".join(parts)


def draw(path, panels):
    """panels is a list of pairs: what is said above, and the points."""
    rows = math.ceil(len(panels) / COLUMNS)
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{COLUMNS * WIDTH}" height="{rows * HEIGHT + 24}">'
                   f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>'
                   f'<text x="12" y="{rows * HEIGHT + 14}">CPU time of mcastd for each datagram</text>')
        for number, (axis, points) in enumerate(panels):
            file.write(f'<g transform="translate({number % COLUMNS * WIDTH} {number // COLUMNS * HEIGHT + 4})">'
                       f"{panel(axis, points)}</g>")
        file.write("</svg>\n")
