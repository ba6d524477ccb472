/* Asks once a second, while somebody can see the page. */

const PERIOD_MS = 1000;
const PATIENCE_MS = 5000; // for an answer

const poll = {timer: 0, isAsking: false, lastAnswer: 0, goneSince: 0};

function showConnection(state, text) {
	find('connection').dataset.state = state;
	setText(find('connection'), text);
	document.body.classList.toggle('is-stale', state === 'bad');
}

function showStatus(status) {
	if (!updateModel(status))
		return;
	updateHeader();
	updateGroups();
	updateHandlers();
	updateEvents();
}

async function ask() {
	const started = performance.now();

	if (poll.isAsking)
		return;
	poll.isAsking = true;
	try {
		const response = await fetch('status.json', {cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS)});

		if (!response.ok)
			throw new Error(`status ${response.status}`);
		showStatus(await response.json());
		poll.goneSince = 0;
		showConnection('good', 'connected');
	} catch (error) {
		poll.goneSince = poll.goneSince || Date.now();
		document.title = 'gone: mcastd';
		showConnection('bad', `no answer since ${new Date(poll.goneSince).toLocaleTimeString('en-GB')}, trying again`);
		console.debug(error);
	}
	poll.isAsking = false;
	if (!document.hidden)
		poll.timer = setTimeout(ask, Math.max(0, PERIOD_MS - (performance.now() - started)));
}

document.addEventListener('visibilitychange', () => {
	clearTimeout(poll.timer);
	if (!document.hidden)
		ask();
});

document.addEventListener('keydown', (event) => {
	const filter = find('filter');
	const isTyping = event.target === filter;

	if (event.ctrlKey || event.altKey || event.metaKey)
		return;
	if (event.key === '/' && !isTyping) {
		showPart('groups');
		filter.focus();
		filter.select();
	} else if (event.key === 'Escape' && isTyping) {
		filter.value = '';
		setFilter('');
		table.scroller.focus();
	} else if (event.key === 'Escape' && table.open !== null) {
		toggle(table.open);
	} else if (event.key === 'Escape' && table.filter.length) {
		filter.value = '';
		setFilter('');
	} else if (isTyping ? event.key !== 'ArrowDown' : !isForGroups(event.target)) {
		return;
	} else if (!moveByKey(event.key)) {
		return;
	}
	event.preventDefault();
});

/* The other parts scroll by these keys themselves. */
function isForGroups(target) {
	return target === document.body || table.scroller.contains(target);
}

find('filter').addEventListener('input', () => setFilter(find('filter').value));
for (const button of document.querySelectorAll('nav button'))
	button.addEventListener('click', () => showPart(button.dataset.part));
find('troubled').addEventListener('click', () => {
	showPart('handlers');
	find('handlers-scroller').focus();
});
ask();
