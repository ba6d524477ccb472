/* The order of a table, by the heads of its columns. */

class Sorting {
	/* columns: by their keys, {value(row), first}, where first is the direction of the first click, 1 or -1. */
	constructor(table, columns, changed) {
		this.columns = columns;
		this.heads = [...table.tHead.querySelectorAll('th')];
		this.key = 'name';
		this.direction = 1;
		for (const head of this.heads)
			head.firstElementChild.addEventListener('click', () => {
				this.choose(head.dataset.key);
				changed();
			});
	}

	choose(key) {
		this.direction = key === this.key ? -this.direction : this.columns[key].first;
		this.key = key;
		for (const head of this.heads)
			if (head.dataset.key === key)
				head.setAttribute('aria-sort', this.direction > 0 ? 'ascending' : 'descending');
			else
				head.removeAttribute('aria-sort');
	}

	/* Rows that are equal stay in the order of tie(row). */
	sort(rows, tie) {
		const {value} = this.columns[this.key];
		const direction = this.direction;

		for (const row of rows)
			row.sortedBy = value(row);
		return rows.sort((a, b) => {
			const left = a.sortedBy, right = b.sortedBy;

			if (left === right)
				return tie(a) - tie(b);
			if (left === null || right === null)
				return left === null ? 1 : -1;
			return (left < right ? -1 : 1) * direction;
		});
	}
}
