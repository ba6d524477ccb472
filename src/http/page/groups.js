/* The table of groups. However many there are, the document has rows only for those that can be seen, and some beyond: each is a slot that
 * shows the group at its place, between two rows that take the room of the others. Scrolling moves the slots that are out of sight to the
 * other end, and fills only these. */

const MARGIN_ROWS = 8; // beyond what is seen, on either side

const table = {
	scroller: find('groups-scroller'),
	element: find('groups-table'),
	body: find('groups-table').tBodies[0],
	above: make('tr', [make('td')], 'space'),
	below: make('tr', [make('td')], 'space'),
	slots: [],
	order: [],
	filter: [],
	selected: null, // the name that the keyboard is at
	open: null, // the name whose details are shown
	detail: null, // their row
	detailHeight: 0,
	first: 0, // the first one that is in a slot
	version: 0, // of what slots show
	isScheduled: false,
};

const sorting = new Sorting(table.element, {
	state: {value: (group) => STATES[group.state], first: -1},
	name: {value: (group) => group.rank, first: 1},
	address: {value: addressKey, first: 1},
	rate: {value: (group) => group.datagrams.rate, first: -1},
	bits: {value: (group) => group.bytes.rate, first: -1},
	peak: {value: (group) => group.datagrams.peak(), first: -1},
	lost: {value: (group) => group.losses.total, first: -1},
	received: {value: (group) => group.received, first: -1},
	sent: {value: (group) => group.sent, first: -1},
	last: {value: (group) => group.lastReceived, first: -1},
}, () => {
	arrange();
	table.scroller.scrollTop = 0;
	render();
});

/* IPv4 by number, then IPv6 by text. */
function addressKey(group) {
	if (!group.sortable) {
		const {address, port} = group.data;

		group.sortable = address.includes(':')
			? `1 ${address} ${port}` : '0' + address.split('.').map((part) => part.padStart(4)).join('') + String(port).padStart(6);
	}
	return group.sortable;
}

function rowHeight() {
	return matchMedia('(max-width: 699px)').matches ? 44 : 26;
}

/* ---- Which groups, in which order ---- */

function arrange() {
	const groups = [...model.groups.values()];

	table.order = sorting.sort(table.filter.length ? groups.filter((group) => group.matches(table.filter)) : groups, (group) => group.rank);
	table.order.forEach((group, at) => {
		group.at = at;
	});
	setText(find('groups-count'), table.filter.length
		? `${formatCount(table.order.length)} of ${formatCount(groups.length)}` : formatCount(groups.length));
	table.element.setAttribute('aria-rowcount', table.order.length + 1);
}

function shown(name) {
	const group = name === null ? null : model.groups.get(name);

	return group && table.order[group.at] === group ? group : null;
}

/* ---- Rows ---- */

function makeSlot() {
	const tr = make('tr');
	const cell = (className) => tr.appendChild(make('td', undefined, className));
	const slot = {tr, state: cell('state'), name: tr.appendChild(make('th', undefined, 'name'))};

	slot.name.scope = 'row';
	slot.button = slot.name.appendChild(make('button'));
	slot.button.type = 'button';
	slot.title = slot.button.appendChild(make('span'));
	slot.note = slot.button.appendChild(make('span', undefined, 'narrow small'));
	slot.address = cell('address');
	slot.rate = cell('number');
	slot.bits = cell('number');
	slot.sparkline = cell('sparkline').appendChild(makeSparkline());
	slot.lost = cell('lost');
	slot.why = slot.lost.appendChild(make('span', undefined, 'small'));
	slot.lost.append(' ');
	slot.count = slot.lost.appendChild(make('span'));
	slot.received = cell('total');
	slot.sent = cell('total');
	slot.last = cell('last');
	slot.tr.addEventListener('click', () => {
		select(slot.group.name, false);
		toggle(slot.group.name);
	});
	return slot;
}

const STATE_MARKS = {
	joined: ['●', 'is-quiet'], merged: ['●', 'is-quiet'], silent: ['○', 'is-warn'], waiting: ['◐', 'is-warn'], failed: ['✕', 'is-bad'], none: ['○', 'is-quiet']};

function fillSlot(slot, group, at) {
	const [mark, className] = STATE_MARKS[group.state] || ['?', 'is-warn'];
	const state = `${mark} ${group.stateText}`;
	const losses = group.losses;

	if (slot.group === group && slot.version === table.version)
		return;
	slot.group = group;
	slot.version = table.version;
	slot.tr.setAttribute('aria-rowindex', at + 2);
	setText(slot.state, state);
	setClass(slot.state, `state ${className}`);
	setText(slot.title, group.name);
	setText(slot.note, group.state === 'joined' ? group.addressText : `${state} · ${group.addressText}`);
	setClass(slot.note, `narrow small ${group.state === 'joined' ? 'is-quiet' : className}`);
	setText(slot.address, group.addressText);
	setText(slot.rate, formatRate(group.datagrams.rate));
	setClass(slot.rate, group.datagrams.rate ? 'number' : 'number is-quiet');
	setText(slot.bits, formatBits(group.bytes.rate === null ? null : group.bytes.rate * 8));
	setClass(slot.bits, group.bytes.rate ? 'number' : 'number is-quiet');
	drawSparkline(slot.sparkline, group.datagrams, 18);
	setText(slot.why, losses.why());
	setText(slot.count, losses.total ? formatCount(losses.total) : '');
	setClass(slot.lost, losses.isFresh() ? 'lost is-bad is-fresh' : 'lost is-bad');
	setText(slot.received, formatCount(group.received));
	setText(slot.sent, group.sent ? formatCount(group.sent) : '');
	setText(slot.last, group.lastReceived ? formatAge(model.status.timestampMs - group.lastReceived) : 'never');
	setClass(slot.tr, group.name === table.selected ? 'is-selected' : '');
	slot.button.tabIndex = group.name === table.selected || (!shown(table.selected) && at === table.first) ? 0 : -1;
	slot.button.setAttribute('aria-expanded', group.name === table.open);
}

/* ---- What is seen ---- */

/* The place of a row, in pixels below the head. */
function rowTop(at, height) {
	const open = shown(table.open);

	return at * height + (open && at > open.at ? table.detailHeight : 0);
}

function firstSeen(height) {
	const open = shown(table.open);
	let y = table.scroller.scrollTop;

	if (open && y > rowTop(open.at + 1, height) - table.detailHeight)
		y = Math.max(y - table.detailHeight, open.at * height);
	return Math.floor(y / height);
}

function placeDetail(count) {
	const open = shown(table.open);
	const slot = open && open.at >= table.first && open.at < table.first + count ? table.slots[open.at - table.first] : null;

	if (table.detail && (!slot || table.detail.group !== open)) {
		table.detail.remove();
		table.detail = null;
	}
	if (!slot)
		return;
	table.detail = table.detail || makeDetail(open);
	table.detail.firstElementChild.colSpan = sorting.heads.filter((head) => head.offsetParent).length;
	if (slot.tr.nextSibling !== table.detail)
		slot.tr.after(table.detail);
	table.detailHeight = table.detail.offsetHeight;
}

/* As many slots as there is need for. */
function makeSlots(count) {
	while (table.slots.length < count) {
		const slot = makeSlot();

		table.slots.push(slot);
		table.body.insertBefore(slot.tr, table.below);
	}
	while (table.slots.length > count)
		table.slots.pop().tr.remove();
}

/* Has the slots begin at another place, those that stay as they are. */
function shiftSlots(first) {
	const {slots} = table;
	const step = first - table.first;

	if (Math.abs(step) < slots.length) {
		const moved = step > 0 ? slots.splice(0, step) : slots.splice(slots.length + step);
		const before = step > 0 ? table.below : table.above.nextSibling;

		if (step > 0)
			slots.push(...moved);
		else
			slots.unshift(...moved);
		for (const slot of moved)
			table.body.insertBefore(slot.tr, before);
	}
	table.first = first;
}

/* Where the slots begin: where they are, as long as they reach far enough. */
function chooseFirst(height, count) {
	const seen = firstSeen(height);
	const most = Math.max(0, table.order.length - count);
	const isNear = seen >= table.first + (table.first ? 2 : 0) && seen <= table.first + 2 * MARGIN_ROWS - 2;

	return Math.max(0, Math.min(isNear ? table.first : seen - MARGIN_ROWS, most));
}

function render(isScroll) {
	const height = rowHeight();
	const most = Math.ceil(table.scroller.clientHeight / height) + 2 * MARGIN_ROWS;
	const count = Math.min(most, table.order.length);
	const first = chooseFirst(height, count);
	const focused = document.activeElement;
	const hadFocus = table.body.contains(focused) && focused.closest('th');

	table.isScheduled = false;
	if (isScroll === true && first === table.first && count === table.slots.length)
		return;
	if (isScroll !== true)
		table.version++;
	makeSlots(count);
	shiftSlots(first);
	for (let i = 0; i < count; i++)
		fillSlot(table.slots[i], table.order[first + i], first + i);
	placeDetail(count);
	fillSpace(count, height);
	if (hadFocus)
		focusSelected();
}

function fillSpace(count, height) {
	const end = table.first + count;
	const total = rowTop(table.order.length, height);

	table.above.firstElementChild.style.height = `${rowTop(table.first, height)}px`;
	table.below.firstElementChild.style.height = `${Math.max(0, total - rowTop(end, height))}px`;
}

function schedule() {
	if (!table.isScheduled) {
		table.isScheduled = true;
		requestAnimationFrame(() => render(true));
	}
}

/* ---- Details ---- */

function pairs(list) {
	return make('dl', list.map(([name, value]) => make('div', [make('dt', `${name} `), make('dd', value)])));
}

function makeMemberships(group) {
	const rows = group.data.memberships.map((membership) => {
		const state = membership.state || 'joined';
		const [mark, className] = STATE_MARKS[state] || ['?', 'is-warn'];
		const since = membership.sinceMs ? ` for ${formatAge(model.status.timestampMs - membership.sinceMs)}` : '';

		return [
			['Interface', membership.interface], ['State', `${mark} ${state}${since}`, className], ['Waits for', membership.error, className],
			['Joined', membership.joins && `${membership.joins} times`],
			['Received', membership.received && formatCount(membership.received)],
			['Buffer full', membership.kernelDropped && formatCount(membership.kernelDropped), 'is-bad']];
	});
	return rows.length ? makeTable(rows) : make('p', 'No interface matches.', 'is-quiet');
}

/* The last ones, where the daemon may tell their addresses. */
function makeSenders(group) {
	const rows = (group.data.senders || []).map((sender) => [
		['Sender', sender.source], ['Port', sender.sourcePort], ['On', sender.interface], ['Received', formatCount(sender.received || 0)],
		['Last', formatAge(model.status.timestampMs - (sender.lastReceivedMs || 0))]]);

	return rows.length ? makeTable(rows) : '';
}

/* A table of rows of [heading, text, class], without the columns that say nothing. */
function makeTable(rows) {
	const used = rows[0].map((_, column) => column).filter((column) => rows.some((row) => row[column][1]));
	const scoped = (text, scope) => Object.assign(make('th', text), {scope});

	return make('table', [
		make('thead', [make('tr', used.map((column) => scoped(rows[0][column][0], 'col')))]),
		make('tbody', rows.map((row) => make('tr', used.map((column) => {
			const [, text, className] = row[column];

			return column ? make('td', text || '', className) : scoped(text, 'row');
		}))))]);
}

/* Everything that is not zero. */
function listNumbers(group) {
	const data = group.data;
	const names = [
		['received', 'received'], ['receivedBytes', 'bytes'], ['duplicates', 'duplicates left out'], ['refused', 'of other senders, refused'],
		['echoed', 'own ones that came back'], ['replies', 'replies'], ['sent', 'sent'], ['sentBytes', 'bytes sent'],
		['emptySkipped', 'empty ones that programs do not get'], ['sendersForgotten', 'senders forgotten']];
	const list = names.filter(([key]) => data[key]).map(([key, name]) => [name, formatCount(data[key])]);

	if (group.outgoing.rate)
		list.push(['sent/s', formatRate(group.outgoing.rate)]);
	if (group.datagrams.history)
		list.push(['at most', `${formatRate(group.datagrams.peak())}/s in two minutes`]);
	return list;
}

function listRest(group) {
	const data = group.data;
	const list = [];

	if (data.handlers)
		list.push(['to handlers', data.handlers.join(', ')]);
	if (data.inputs)
		list.push(['from handlers', data.inputs.join(', ')]);
	if (data.sources)
		list.push(['only from', data.sources.join(', ')]);
	for (const way of data.outgoing || []) {
		if (way.notSent)
			list.push([`not sent on ${way.interface || 'the route'}`, formatCount(way.notSent)]);
		if (way.error)
			list.push([`sending on ${way.interface || 'the route'}`, way.error]);
	}
	return list;
}

function fillDetail(detail) {
	const group = detail.group;
	const losses = pairs(group.losses.reasons.map(([reason, count]) => [`lost, ${reason}`, formatCount(count)]));

	losses.className = 'is-bad';
	detail.firstElementChild.replaceChildren(makeMemberships(group), makeSenders(group), losses, pairs(listNumbers(group)), pairs(listRest(group)));
}

function makeDetail(group) {
	const detail = make('tr', [make('td')], 'detail');

	detail.group = group;
	fillDetail(detail);
	return detail;
}

function toggle(name) {
	table.open = name === table.open ? null : name;
	render();
}

/* ---- Keyboard ---- */

function focusSelected() {
	const group = shown(table.selected);
	const slot = group && table.slots[group.at - table.first];

	(slot ? slot.button : table.scroller).focus({preventScroll: true});
}

function scrollTo(group) {
	const height = rowHeight();
	const y = rowTop(group.at, height);
	const room = table.scroller.clientHeight - table.element.tHead.offsetHeight - height;

	if (y < table.scroller.scrollTop)
		table.scroller.scrollTop = y;
	else if (y > table.scroller.scrollTop + room)
		table.scroller.scrollTop = y - room;
}

function select(name, withFocus) {
	const group = model.groups.get(name);

	table.selected = name;
	if (withFocus)
		scrollTo(group);
	render();
	if (withFocus)
		focusSelected();
}

function move(step) {
	const group = shown(table.selected);
	const at = step + (group ? group.at : step > 0 ? -1 : table.order.length);

	if (table.order.length)
		select(table.order[Math.max(0, Math.min(at, table.order.length - 1))].name, true);
}

function moveByKey(key) {
	const page = Math.max(1, Math.floor(table.scroller.clientHeight / rowHeight()) - 2);
	const steps = {ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity};

	if (!(key in steps))
		return false;
	move(steps[key]);
	return true;
}

function setFilter(text) {
	table.filter = text.toLowerCase().split(/\s+/).filter(Boolean);
	arrange();
	table.scroller.scrollTop = 0;
	render();
}

function updateGroups() {
	arrange();
	if (table.detail && table.detail.group === model.groups.get(table.detail.group.name))
		fillDetail(table.detail);
	if (table.open !== null && !model.groups.has(table.open))
		table.open = null;
	render();
}

table.above.ariaHidden = table.below.ariaHidden = 'true';
table.body.append(table.above, table.below);
table.scroller.addEventListener('scroll', schedule, {passive: true});
addEventListener('resize', () => render());
