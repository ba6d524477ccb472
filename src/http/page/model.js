/* What is known of the daemon: the last answer, and what follows from those before it. Counters become rates by the daemon's own clock,
 * not by the time at which answers come. */

const HISTORY_S = 120; // seconds of a sparkline
const SAMPLES = 4; // counters of the last seconds, between whose ends a rate is
const FRESH_S = 60; // for how long a loss counts as new

/* What counts as lost, the daemon says; some reasons have shorter words here. */
const LOSS_TEXTS = {kernel: 'buffer full', unread: 'reader slow', send: 'not sent', interface: 'not sent on an interface', sequence: 'never came'};

const model = {
	status: null, // the last answer
	tick: 0, // its second
	before: 0, // the one of the answer before
	answers: 0, // seconds with an answer, up to HISTORY_S
	groups: new Map(),
	handlers: new Map(),
	all: null,
	busy: null,
};

/* A counter's rate and history. Counters that a new run of the daemon begins again say nothing until the next answer. */
class Meter {
	constructor() {
		this.values = [];
		this.times = [];
		this.rate = null;
		this.history = null;
	}

	add(value, time) {
		const last = this.values.length - 1;

		if (last >= 0 && (value < this.values[last] || time <= this.times[last]))
			this.forget();
		this.remember(last >= 0 && this.values.length ? (value - this.values[last]) * 1000 / (time - this.times[last]) : null);
		this.values.push(value);
		this.times.push(time);
		if (this.values.length > SAMPLES) {
			this.values.shift();
			this.times.shift();
		}
		this.rate = this.values.length > 1
			? (value - this.values[0]) * 1000 / (time - this.times[0]) : null;
	}

	/* A second without an answer stays empty; where a poll was late by less, there is nothing to see. */
	remember(rate) {
		if (!this.history) {
			if (!rate)
				return;
			this.history = new Float32Array(HISTORY_S).fill(NaN);
			for (let tick = model.before; tick > model.before - model.answers + 1; tick--)
				this.history[(tick + HISTORY_S) % HISTORY_S] = 0;
		}
		for (let tick = Math.max(model.before + 1, model.tick - HISTORY_S); tick < model.tick; tick++)
			this.history[tick % HISTORY_S] = model.tick - model.before > 2 || rate === null ? NaN : rate;
		this.history[model.tick % HISTORY_S] = rate === null ? NaN : rate;
	}

	forget() {
		this.values.length = this.times.length = 0;
		this.rate = null;
	}

	peak() {
		let peak = 0;

		for (const rate of this.history || [])
			if (rate > peak)
				peak = rate;
		return peak;
	}
}

/* Something that loses: how much for each reason, and when last. */
class Losses {
	constructor() {
		this.total = 0;
		this.reasons = [];
		this.last = -Infinity; // tick
		this.known = false;
	}

	set(reasons) {
		const total = reasons.reduce((sum, [, count]) => sum + count, 0);

		if (this.known && total > this.total)
			this.last = model.tick;
		this.known = true;
		this.total = total;
		this.reasons = reasons;
	}

	isFresh() {
		return model.tick - this.last <= FRESH_S;
	}

	/* The largest reason, and how many others there are. */
	why() {
		const sorted = this.reasons.slice().sort((a, b) => b[1] - a[1]);

		if (!sorted.length)
			return '';
		return sorted[0][0] + (sorted.length > 1 ? ` +${sorted.length - 1}` : '');
	}
}

/* Worse is larger. */
const STATES = {joined: 0, merged: 0, none: 1, silent: 2, waiting: 3, failed: 4};

class Group {
	constructor(name) {
		this.name = name;
		this.rank = 0; // by name
		this.at = 0; // in the table
		this.datagrams = new Meter();
		this.bytes = new Meter();
		this.outgoing = new Meter();
		this.losses = new Losses();
		this.addressText = '';
	}

	update(data, time) {
		this.data = data;
		this.received = data.received || 0;
		this.sent = data.sent || 0;
		this.lastReceived = data.lastReceivedMs || 0;
		this.datagrams.add(this.received, time);
		this.bytes.add(data.receivedBytes || 0, time);
		this.outgoing.add(this.sent, time);
		this.addressText = !data.address ? '-' : data.address.includes(':') ? `[${data.address}]:${data.port}` : `${data.address}:${data.port}`;
		this.updateState();
		this.updateLosses();
	}

	updateState() {
		let worst = !this.data.address ? 'merged' : this.data.memberships.length ? 'joined' : 'none';
		let joined = 0;

		for (const membership of this.data.memberships) {
			const state = membership.state || 'joined';

			joined += state === 'joined';
			if (!(STATES[state] <= STATES[worst]))
				worst = state;
		}
		if (this.data.silent && STATES[worst] < STATES.silent)
			worst = 'silent';
		this.state = worst;
		this.stateText = joined && worst !== 'joined' && worst !== 'silent'
			? `${worst} ${this.data.memberships.length - joined}/${this.data.memberships.length}` : worst === 'none' ? 'no membership' : worst;
	}

	updateLosses() {
		this.losses.set(Object.entries(this.data.lost || {}).map(([reason, count]) => [LOSS_TEXTS[reason] || words(reason), count]));
	}

	/* What the filter looks at. */
	matches(filter) {
		const words = [
			this.name, this.addressText, this.stateText, ...(this.data.handlers || []), ...(this.losses.isFresh() ? ['losing'] : []),
			...this.data.memberships.map((membership) => `${membership.interface} ${membership.error || ''}`)];
		const text = words.join(' ').toLowerCase();

		return filter.every((word) => text.includes(word));
	}
}

/* What the losses call a drop of what came in. */
const inputLoss = (reason) => `input${reason[0].toUpperCase()}${reason.slice(1)}`;

class Handler {
	constructor(name) {
		this.name = name;
		this.delivered = new Meter();
		this.taken = new Meter();
		this.losses = new Losses();
	}

	update(data, time) {
		const lost = data.lost || {};
		const came = data.input && data.input.dropped || {};

		this.data = data;
		this.delivered.add(data.delivered || 0, time);
		if (data.input)
			this.taken.add(data.input.taken || 0, time);
		this.wanted = [
			...Object.entries(data.dropped || {}).filter(([reason]) => !lost[reason]).map(([reason, count]) => [words(reason), count]),
			...Object.entries(came).filter(([reason]) => !lost[inputLoss(reason)]).map(([reason, count]) => [`in: ${words(reason)}`, count])];
		this.losses.set(Object.entries(lost).map(([reason, count]) => [words(reason), count]));
	}
}

/* Brings a map of things by name up to date. Returns whether there are others than before. */
function updateAll(things, list, create, time) {
	let isChanged = false;

	for (const data of list) {
		let thing = things.get(data.name);

		if (!thing) {
			thing = create(data.name);
			things.set(data.name, thing);
			isChanged = true;
		}
		thing.seen = model.tick;
		thing.update(data, time);
	}
	if (things.size !== list.length)
		for (const [name, thing] of things)
			if (thing.seen !== model.tick) {
				things.delete(name);
				isChanged = true;
			}
	return isChanged;
}

function rankGroups() {
	const collator = new Intl.Collator('en', {numeric: true});
	const sorted = [...model.groups.values()].sort((a, b) => collator.compare(a.name, b.name));

	sorted.forEach((group, rank) => {
		group.rank = rank;
	});
}

/* Another run of the daemon may have begun at zero, or have gone on. After the host has started again, its clock has, too. */
function forgetCounters(withHistory) {
	for (const thing of [model.all, model, ...model.groups.values(), ...model.handlers.values()])
		for (const meter of Object.values(thing))
			if (meter instanceof Meter) {
				meter.forget();
				if (withHistory)
					meter.history = null;
			}
}

function updateTotals(time) {
	const all = model.all;
	let received = 0, bytes = 0;

	all.states = {joined: 0, merged: 0, none: 0, silent: 0, waiting: 0, failed: 0};
	all.losing = all.lost = 0;
	for (const group of model.groups.values()) {
		received += group.received;
		bytes += group.data.receivedBytes || 0;
		all.states[group.state]++;
	}
	for (const things of [model.groups, model.handlers])
		for (const thing of things.values()) {
			all.lost += thing.losses.total;
			all.losing += thing instanceof Group && thing.losses.isFresh();
		}
	all.troubled = [...model.handlers.values()].filter((handler) => handler.data.error).length;
	all.datagrams.add(received, time);
	all.bytes.add(bytes, time);
	model.busy.add(model.status.loop.busyMicroseconds, time);
}

/* Takes an answer. Returns whether there is anything new in it: it may have been made for another reader. */
function updateModel(status) {
	const old = model.status;
	const time = status.clockMs;

	if (old && old.clockMs === time && old.startedMs === status.startedMs)
		return false;
	model.all = model.all || {datagrams: new Meter(), bytes: new Meter()};
	model.busy = model.busy || new Meter();
	model.status = status;
	if (old && old.startedMs !== status.startedMs)
		forgetCounters(time < old.clockMs);
	model.tick = Math.max(Math.round(time / 1000), old && time > old.clockMs ? model.tick : 0);
	model.before = old && time > old.clockMs ? model.before : model.tick;
	if (updateAll(model.groups, status.groups, (name) => new Group(name), time))
		rankGroups();
	updateAll(model.handlers, status.handlers, (name) => new Handler(name), time);
	updateTotals(time);
	model.before = model.tick;
	model.answers = Math.min(model.answers + 1, HISTORY_S);
	return true;
}
