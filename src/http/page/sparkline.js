/* The last two minutes of a rate, the newest second at the right. */

const SVG = 'http://www.w3.org/2000/svg';

function makeSparkline() {
	const svg = document.createElementNS(SVG, 'svg');

	svg.setAttribute('viewBox', `0 0 ${HISTORY_S} 18`);
	svg.setAttribute('preserveAspectRatio', 'none');
	svg.setAttribute('aria-hidden', 'true');
	svg.append(document.createElementNS(SVG, 'path'), document.createElementNS(SVG, 'path'));
	svg.firstElementChild.setAttribute('class', 'area');
	return svg;
}

/* Two paths: what is below the line, and the line. */
function sparklinePaths(meter, height) {
	const history = meter.history;
	const peak = meter.peak();
	const paths = ['', ''];
	let start = -1;

	if (!peak)
		return paths;
	for (let x = 0; x <= HISTORY_S; x++) {
		const rate = x < HISTORY_S ? history[(model.tick + 1 + x) % HISTORY_S] : NaN;
		const isKnown = !Number.isNaN(rate);

		if (isKnown) {
			const point = `${x} ${(height - 1 - rate / peak * (height - 2)).toFixed(1)}`;

			paths[0] += start < 0 ? `M${x} ${height}L${point}` : `L${point}`;
			paths[1] += start < 0 ? `M${point}` : `L${point}`;
			start = start < 0 ? x : start;
		} else if (start >= 0) {
			paths[0] += `L${x - 1} ${height}Z`;
			start = -1;
		}
	}
	return paths;
}

function drawSparkline(svg, meter, height) {
	const [area, line] = sparklinePaths(meter, height);

	if (svg.shownPath !== line) {
		svg.shownPath = line;
		svg.firstElementChild.setAttribute('d', area);
		svg.lastElementChild.setAttribute('d', line);
	}
}
