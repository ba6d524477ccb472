/* Totals, handlers and events. */

/* ---- Totals ---- */

const STATE_TEXTS = {joined: 'joined', merged: 'merged', silent: 'silent', waiting: 'waiting', failed: 'failed', none: 'no membership'};
const stateButtons = {};

/* A count that filters the groups by what it counts. */
function showState(name, count, text, className) {
	let button = stateButtons[name];

	if (!button) {
		button = stateButtons[name] = find('states').appendChild(make('button', undefined, className));
		button.type = 'button';
		button.addEventListener('click', () => {
			find('filter').value = text;
			showPart('groups');
			setFilter(text);
		});
	}
	button.hidden = !count;
	setText(button, `${formatCount(count)} ${text}`);
}

function updateHeader() {
	const {all, status, busy} = model;

	setText(find('daemon'), `${status.version}, up ${formatAge(status.timestampMs - status.startedMs)}, loop ` +
		(busy.rate === null ? '–' : `${(busy.rate / 10000).toFixed(1)} %`) +
		`, longest round ${(status.loop.longestMicroseconds / 1000).toFixed(1)} ms`);
	setText(find('rate'), formatRate(all.datagrams.rate));
	setText(find('bits'), formatBits(all.bytes.rate === null ? null : all.bytes.rate * 8));
	setText(find('lost'), formatCount(all.lost));
	setClass(find('lost'), all.lost ? 'is-bad' : '');
	drawSparkline(find('graph'), all.datagrams, 24);
	for (const [state, text] of Object.entries(STATE_TEXTS))
		showState(state, all.states[state], text, STATE_MARKS[state][1]);
	showState('losing', all.losing, 'losing', 'is-bad');
	find('troubled').hidden = !all.troubled;
	setText(find('troubled'), `${formatCount(all.troubled)} handler${all.troubled === 1 ? '' : 's'} with an error`);
	document.title = all.losing || all.states.failed || all.troubled ? '! mcastd' : 'mcastd';
}

/* ---- Handlers ---- */

const handlerBody = find('handlers-table').tBodies[0];
const handlerSorting = new Sorting(find('handlers-table'), {
	name: {value: (handler) => handler.name, first: 1},
	rate: {value: (handler) => handler.delivered.rate, first: -1},
	queue: {value: (handler) => handler.data.queuePercent || 0, first: -1},
	lost: {value: (handler) => handler.losses.total, first: -1},
}, updateHandlers);

function makeHandlerRow(handler) {
	const row = handler.row = {tr: make('tr'), error: make('tr', [make('td', undefined, 'is-bad')], 'error')};
	const lines = (tag, className) => row.tr.appendChild(make(tag, [make('span'), make('span', undefined, 'small')], className));

	row.name = lines('th', 'name');
	row.name.scope = 'row';
	row.rate = row.tr.appendChild(make('td', undefined, 'number'));
	row.queued = make('span');
	row.percent = make('span', undefined, 'unseen');
	row.bar = make('div', [make('div')], 'bar');
	row.tr.append(make('td', [row.queued, row.percent, row.bar], 'queue small'));
	row.lost = lines('td', 'lost is-bad');
	row.error.firstElementChild.colSpan = 4;
	return row;
}

/* What else there is to say, under the name. */
function handlerNotes(handler) {
	const data = handler.data;
	const notes = [data.type];

	if (data.window)
		notes.push(`${formatCount(data.window)} unacknowledged`);
	if (data.input) {
		notes.push(`in ${formatRate(handler.taken.rate)}/s`);
		if (data.input.waiting)
			notes.push(`${formatCount(data.input.waiting)} wait`);
		if (data.input.gaps)
			notes.push(`${formatCount(data.input.gaps)} missing`);
	}
	for (const [reason, count] of handler.wanted)
		notes.push(`${reason} ${formatCount(count)}`);
	return notes.join(' · ');
}

function fillQueue(row, data) {
	const percent = data.queuePercent;
	const most = data.queuedMax ? ` (${formatCount(data.queuedMax)})` : '';

	row.bar.hidden = percent === undefined;
	setText(row.queued, percent === undefined ? '' : formatCount(data.queued || 0) + most);
	setText(row.percent, percent === undefined ? '' : `${percent} % full`);
	setClass(row.bar, percent >= 80 ? 'bar is-bad' : percent >= 50 ? 'bar is-warn' : 'bar');
	row.bar.firstElementChild.style.width = `${Math.min(100, Math.max(percent || 0, data.queued ? 2 : 0))}%`;
}

function fillHandler(handler) {
	const row = handler.row || makeHandlerRow(handler);
	const {data, losses} = handler;

	setText(row.name.firstElementChild, handler.name);
	setText(row.name.lastElementChild, handlerNotes(handler));
	setText(row.rate, formatRate(handler.delivered.rate));
	fillQueue(row, data);
	setText(row.lost.firstElementChild, losses.total ? formatCount(losses.total) : '');
	setText(row.lost.lastElementChild, losses.why());
	setClass(row.lost, losses.isFresh() ? 'lost is-bad is-fresh' : 'lost is-bad');
	setClass(row.tr, data.error ? 'has-error' : '');
	setText(row.error.firstElementChild, data.error || '');
	row.error.hidden = !data.error;
	return row;
}

function updateHandlers() {
	const handlers = handlerSorting.sort([...model.handlers.values()], () => 0);
	const rows = handlers.flatMap((handler) => {
		const row = fillHandler(handler);

		return [row.tr, row.error];
	});

	setText(find('handlers-count'), formatCount(handlers.length));
	if (rows.length !== handlerBody.rows.length || rows.some((row, i) => handlerBody.rows[i] !== row))
		handlerBody.replaceChildren(...rows);
}

/* ---- Events ---- */

function rateText({state, count, milliseconds, why}) {
	const time = milliseconds < 1500 ? 'a second' : formatAge(milliseconds);

	if (why)
		return why;
	return `${formatCount(count)} datagrams in ${time}${state === 'end' ? ', as expected again' : ', not as expected'}`;
}

/* What happened, in a sentence for those kinds that are known here, and in the event's own words for others. */
function eventText(event) {
	const {event: kind, group, interface: name, handler, why} = event;
	const where = [group, name && `on ${name}`].filter(Boolean).join(' ');
	const reason = why ? `: ${why}` : '';

	if (kind === 'membership')
		return `${where}: ${event.membership === 'failed' ? 'cannot be joined' : event.membership}${reason}`;
	if (kind === 'silence')
		return `${where}: ${event.state === 'end' ? `${why || 'datagrams again'}, after` : 'nothing for'} ${formatAge(event.milliseconds)}`;
	if (kind === 'rate')
		return `${where}: ${rateText(event)}`;
	if (kind === 'sameNetworkTwice')
		return `${where} and ${event.otherInterface}: one network twice${event.state === 'end' ? ', no more' : ''}`;
	return [where && `${where}:`, words(kind), event.state, event.source && `from ${event.source}`, handler && `handler ${handler}`,
		event.count > 1 && `${formatCount(event.count)} times`].filter(Boolean).join(' ') + reason;
}

function makeEvent(event) {
	const date = new Date(event.timestamp);
	const isGood = event.state === 'end' || event.membership === 'joined';
	const time = make('time', Number.isNaN(date.getTime()) ? '' : date.toLocaleTimeString('en-GB'));

	time.dateTime = event.timestamp;
	time.title = event.timestamp;
	return make('li', [time, make('span', eventText(event), isGood ? '' : event.membership === 'failed' ? 'is-bad' : 'is-warn')]);
}

function updateEvents() {
	const events = model.status.events;
	const key = JSON.stringify(events);

	if (key === updateEvents.shown)
		return;
	updateEvents.shown = key;
	setText(find('events-count'), events.length ? `last ${events.length}` : 'none since the server listens');
	find('events-list').replaceChildren(...events.slice().reverse().map(makeEvent));
}

/* ---- One part at a time, where the page is narrow ---- */

function showPart(name) {
	document.querySelector('main').dataset.part = name;
	for (const button of document.querySelectorAll('nav button'))
		button.setAttribute('aria-pressed', button.dataset.part === name);
	if (name === 'groups' && model.status)
		render();
}
