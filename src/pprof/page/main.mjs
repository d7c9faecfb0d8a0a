// SPDX-License-Identifier: Apache-2.0
// The page: the index gets a column of flame graphs, and its viewer's controls come to life. What
// is shown is in the address behind the #, so that back, reload and links work.

import {change, percent, quantity} from './units.mjs';
import {buildStacks, buildTop, buildTree, labelsOf, net, search, weight} from './tree.mjs';
import {addressOf, readAges, take} from './take.mjs';
import {Flame} from './flame.mjs';
import {element, showStacks, showTop} from './tables.mjs';

const TIMED = 'profile';        // has no moment, only a time
const DEFAULT_SECONDS = 5;
const HELD_MOST = 12;
const FILTERS_MOST = 60;        // values of one label that are offered
const NOT_PROFILES = ['cmdline', 'symbol', 'trace'];

const index = document.getElementById('index');
document.body.append(document.getElementById('view').content.cloneNode(true));
const at = {};
for (const one of document.getElementById('viewer').querySelectorAll('[id]')) at[one.id] = one;
const viewer = document.getElementById('viewer');

const held = [];                // newest first, of take()
let current = null;             // the one of them that is shown
let tab = 'flame';
let order = 'flat';
let running = null;             // AbortController of what is being taken
let isAsked = false;            // by a click: an address that was only opened measures nothing

// The index.

const names = [...index.querySelectorAll('td a')].map((link) => link.textContent)
    .filter((name) => !NOT_PROFILES.includes(name));

function addColumn() {
    index.querySelector('thead tr').append(element('td', {}, 'Flame graph'));
    for (const row of index.querySelectorAll('tbody tr')) {
        const name = row.querySelector('a').textContent;
        const link = names.includes(name)
            ? element('a', {href: '#' + name, className: 'see'}, name === TIMED
                ? 'take ' + DEFAULT_SECONDS + ' s' : 'show') : '';
        if (link) link.setAttribute('aria-label', 'flame graph of ' + name);
        if (link) link.onclick = () => { isAsked = true; };
        row.append(element('td', {}, link));
    }
}

// Taking.

function setProgress(seconds, gone) {
    at.bar.max = seconds || 1;
    if (seconds) at.bar.value = Math.min(gone, seconds);
    else at.bar.removeAttribute('value');
    const left = Math.max(0, Math.ceil(seconds - gone));
    at.left.value = !seconds ? 'reading …' : left ? left + ' s left' : 'naming frames …';
}

function setRunning(controller) {
    running = controller;
    at.progress.hidden = !controller;
    at.go.disabled = !!controller;
}

function complain(words) {
    at.problem.textContent = words;
    at.problem.hidden = !words;
}

async function begin() {
    running?.abort();
    const controller = new AbortController();
    const name = at.name.value;
    const seconds = at.seconds.value || (name === TIMED ? String(DEFAULT_SECONDS) : '');
    setRunning(controller);
    complain('');
    try {
        const taken = await take(name, seconds, controller.signal,
            (gone) => setProgress(Number(seconds), gone));
        if (name === 'goroutine' && !seconds) taken.ages = await takeAges(controller.signal);
        held.unshift(taken);
        held.length = Math.min(held.length, HELD_MOST);
        choose(taken);
    } catch (error) {
        if (!controller.signal.aborted) complain(name + ': ' + error.message);
    } finally {
        if (running === controller) setRunning(null);
    }
}

async function takeAges(signal) {
    const response = await fetch('goroutine?debug=2', {signal, cache: 'no-store'});
    return response.ok ? readAges(await response.text()) : null;
}

// Choosing.

function titleOf({name, seconds, at: time}) {
    return name + (seconds ? ' ' + seconds + ' s' : '') + ', ' + time.toLocaleTimeString('en-GB');
}

function fill(select, options, chosen) {
    select.replaceChildren(...options.map(([value, text]) => element('option', {value}, text)));
    select.value = chosen;
    if (select.selectedIndex < 0) select.selectedIndex = 0;
}

const typesOf = (taken) => taken.profile.types.map(({type}) => type).join();

function choose(taken) {
    const isOther = !current || typesOf(current) !== typesOf(taken);
    const {types, defaultType, samples} = taken.profile;
    const value = at.value.selectedOptions[0]?.textContent;
    const filter = at.filter.value;
    const group = at.group.value;
    current = taken;
    at.shown.hidden = false;
    fill(at.held, held.map((one, i) => [i, titleOf(one)]), held.indexOf(taken));
    const others = held.map((one, i) => [i, titleOf(one), one])
        .filter(([, , one]) => one !== taken && typesOf(one) === typesOf(taken));
    fill(at.base, [['', 'nothing'], ...others], '');
    const wanted = isOther ? defaultType || types.at(-1).type : value;
    fill(at.value, types.map(({type}, i) => [i, type]), types.findIndex(({type}) => type === wanted));
    // What a thread waits for is the first thing to know about it.
    fillLabels(taken.profile, filter, isOther && taken.name === 'goroutine' ? 'state' : group);
    if (isOther) openTab(samples.length && /^(goroutine|streams)$/.test(taken.name) ? 'stacks' : 'flame');
    offerFile(taken);
    update();
}

function fillLabels(profile, filter, group) {
    const labels = labelsOf(profile);
    const options = [element('option', {value: ''}, 'everything')];
    for (const [key, values] of labels) {
        options.push(element('optgroup', {label: key}, ...values.slice(0, FILTERS_MOST).map((one) =>
            element('option', {value: key + '=' + one}, key + '=' + one))));
    }
    at.filter.replaceChildren(...options);
    at.filter.value = filter;
    if (at.filter.selectedIndex < 0) at.filter.value = '';
    fill(at.group, [['', 'nothing'], ...[...labels.keys()].map((key) => [key, key])], group);
}

function offerFile({name, seconds, file, at: time}) {
    URL.revokeObjectURL(at.download.href);
    at.download.href = URL.createObjectURL(new Blob([file], {type: 'application/octet-stream'}));
    const stamp = time.toISOString().slice(0, 19).replace(/[-:]/g, '');
    at.download.download = name + (seconds && name !== TIMED ? '-delta' : '') + '-' + stamp + '.pb.gz';
    at.command.textContent = "go tool pprof '" + addressOf(name, seconds) + "'";
}

// Showing.

function choiceNow() {
    const base = held[at.base.value] && at.base.value !== '' ? held[at.base.value].profile : null;
    const {profile} = current;
    // Two times of different lengths are compared per second.
    const scale = base?.duration && profile.duration ? profile.duration / base.duration : 1;
    return {profile, base, scale, value: Number(at.value.value), filter: at.filter.value,
            group: at.group.value};
}

function matcher() {
    const text = at.search.value.trim().toLowerCase();
    if (!text) return null;
    return ({name, file}) => (name + ' ' + file).toLowerCase().includes(text);
}

const flame = new Flame(at.flame, showPoint);

function showPoint(node) {
    const what = node ?? flame.zoomed;
    if (!what) return;
    if (!weight(flame.root)) {
        at.point.replaceChildren('Nothing of this value was sampled.');
        return;
    }
    const {name, amount, where, isInlined} = flame.describe(what);
    at.point.replaceChildren(element('b', {}, name), isInlined ? element('em', {}, ' inlined') : '',
        ' ' + amount, element('small', {}, ' ' + where));
}

function update() {
    const choice = choiceNow();
    const {unit} = choice.profile.types[choice.value];
    const root = buildTree(choice);
    const isChange = !!choice.base || root.minus > 0;
    at.total.value = isChange
        ? change(net(root), unit) + ' (' + quantity(root.minus, unit) + ' → ' + quantity(root.plus, unit) + ')'
        : 'total ' + quantity(root.plus, unit);
    viewer.classList.toggle('change', isChange);
    flame.show(root, unit, isChange);
    showPoint(null);
    showTables(choice, unit, isChange);
    mark();
}

// Only the sheet that is seen is made.
function showTables(choice, unit, isChange) {
    const matches = matcher() ?? (() => true);
    const table = element('table');
    if (tab === 'top') {
        const onOrder = (name) => { order = name; update(); };
        const onPick = (row) => { at.search.value = row.name; openTab('flame'); update(); };
        showTop(table, buildTop(choice), {unit, isChange, matches, order, onOrder, onPick});
    }
    if (tab === 'stacks') {
        showStacks(table, buildStacks(choice),
            {types: choice.profile.types, group: choice.group, matches, ages: current.ages});
    }
    at.top.replaceChildren(tab === 'top' ? table : '');
    at.stacks.replaceChildren(tab === 'stacks' ? table : '');
}

function mark() {
    const matches = matcher();
    const found = matches && new Set();
    const sum = matches && search(flame.root, matches, (node) => found.add(node));
    flame.mark(found);
    at.found.value = matches ? percent(sum, weight(flame.root)) + ' of the total' : '';
}

function openTab(name) {
    tab = name;
    for (const one of ['flame', 'top', 'stacks']) {
        at[one].hidden = one !== name;
        at['tab-' + one].setAttribute('aria-selected', one === name);
        at['tab-' + one].tabIndex = one === name ? 0 : -1;
    }
    at.point.hidden = name !== 'flame';
}

// Wiring.

function route() {
    const name = location.hash.slice(1);
    const isKnown = names.includes(name);
    index.hidden = isKnown;
    viewer.hidden = !isKnown;
    document.title = (isKnown ? name + ' ' : '') + '/debug/pprof/';
    if (!isKnown) {
        running?.abort();
        return;
    }
    if (isAsked || at.name.value !== name) at.seconds.value = '';
    at.name.value = name;
    at.seconds.placeholder = name === TIMED ? DEFAULT_SECONDS : 'now';
    const last = held.find((one) => one.name === name);
    if (last && !isAsked) choose(last);
    else if (isAsked || name !== TIMED) begin();
    isAsked = false;
}

addColumn();
fill(at.name, names.map((name) => [name, name]), '');
at.name.onchange = () => { location.hash = at.name.value; };
at.take.onsubmit = (event) => { event.preventDefault(); begin(); };
at.cancel.onclick = () => running?.abort();
at.held.onchange = () => choose(held[at.held.value]);
for (const one of [at.base, at.value, at.filter, at.group]) one.onchange = update;
at.search.oninput = () => tab === 'flame' ? mark() : update();
at.copy.onclick = async () => {
    getSelection().selectAllChildren(at.command);   // what remains where the clipboard is closed
    await navigator.clipboard?.writeText(at.command.textContent);
    at.copy.textContent = navigator.clipboard ? 'copied' : 'selected';
    setTimeout(() => { at.copy.textContent = 'copy'; }, 2000);
};
for (const one of ['flame', 'top', 'stacks']) {
    at['tab-' + one].onclick = () => { openTab(one); update(); };
}
at.tabs.onkeydown = ({key}) => {
    const step = {ArrowLeft: 2, ArrowRight: 1}[key];
    if (!step) return;
    const list = ['flame', 'top', 'stacks'];
    const next = at['tab-' + list[(list.indexOf(tab) + step) % 3]];
    next.click();
    next.focus();
};
addEventListener('keydown', (event) => {
    if (viewer.hidden || /^(input|select)$/i.test(event.target.tagName)) return;
    if (event.key !== '/' || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    at.search.focus();
});
addEventListener('hashchange', route);
route();
