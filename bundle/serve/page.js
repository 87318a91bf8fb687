"use strict";
document.documentElement.classList.add("js");

// The search filters while one types: rows that have all words.
const query = document.getElementById("q");
const count = document.getElementById("count");
const none = document.getElementById("none");
const rows = Array.from(document.getElementById("rows").rows, row => [row, row.dataset.name.toLowerCase()]);
const listed = query.value.trim().toLowerCase();
const all = count.textContent.split(" of ")[1];

function filter() {
	const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
	let shown = 0;
	for (const [row, name] of rows) {
		row.hidden = !words.every(word => name.includes(word));
		if (!row.hidden) shown++;
	}
	count.textContent = shown + " of " + all;
	none.hidden = shown > 0;
}

// The server has filtered already where the page was asked for with a query, or is too long: then it is asked again.
const partial = rows.length < Number(all);
query.addEventListener("input", () => {
	if (!partial || query.value.toLowerCase().includes(listed) && listed !== "") filter();
});
query.form.addEventListener("submit", event => {
	if (!partial) event.preventDefault();
});
if (!partial) filter();

// Lines to copy. The clipboard is there only over HTTPS or on this machine; elsewhere a selection has to do.
async function copy(text) {
	if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
	const area = document.createElement("textarea");
	area.value = text;
	area.style.position = "fixed";
	document.body.append(area);
	area.select();
	const done = document.execCommand("copy");
	area.remove();
	if (!done) throw new Error("copy");
}

document.addEventListener("click", async event => {
	const button = event.target.closest("button.copy");
	if (!button) return;
	const label = button.textContent;
	try {
		await copy(button.dataset.copy);
		button.textContent = "Copied";
		button.classList.add("done");
	} catch {
		button.textContent = "Select it";
	}
	setTimeout(() => { button.textContent = label; button.classList.remove("done"); }, 1500);
});
