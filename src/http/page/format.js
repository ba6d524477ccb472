/* Numbers, times and elements as they are shown. */

const whole = new Intl.NumberFormat('en-US', {maximumFractionDigits: 0});

function formatCount(number) {
	return whole.format(number);
}

/* A rate: small ones need a decimal to be seen at all. */
function formatRate(rate) {
	if (rate === null)
		return '–';
	return rate > 0 && rate < 9.95 ? rate.toFixed(1) : whole.format(rate);
}

/* Three digits or a little more, with k, M or G. */
function formatBits(bits) {
	const units = ['', ' k', ' M', ' G', ' T'];
	let unit = 0;

	if (bits === null)
		return '–';
	for (; bits >= 999.5 && unit < units.length - 1; unit++)
		bits /= 1000;
	return (unit && bits < 99.95 ? bits.toFixed(bits < 9.995 ? 2 : 1) : Math.round(bits)) + units[unit];
}

function formatAge(ms) {
	const steps = [[1000, 's', 60], [60000, 'min', 60], [3600000, 'h', 48], [86400000, 'd', Infinity]];

	if (ms < 1500)
		return 'now';
	for (const [size, unit, most] of steps)
		if (ms / size < most)
			return `${Math.floor(ms / size)} ${unit}`;
	return '';
}

/* "tooLong" or "too_long": too long */
function words(name) {
	return String(name).replace(/_/g, ' ').replace(/([a-z])([A-Z])/g, (all, left, right) => `${left} ${right.toLowerCase()}`);
}

/* An element with text or with others in it. Text is never taken for markup. */
function make(tag, content, className) {
	const element = document.createElement(tag);

	if (className)
		element.className = className;
	if (Array.isArray(content))
		element.append(...content);
	else if (content !== undefined && content !== null)
		element.textContent = content;
	return element;
}

/* These leave alone what is as it should be. */
function setText(element, text) {
	if (element.shownText !== text) {
		element.shownText = text;
		element.textContent = text;
	}
}

function setClass(element, name) {
	if (element.className !== name)
		element.className = name;
}

function find(id) {
	return document.getElementById(id);
}
