// SPDX-License-Identifier: Apache-2.0
// The two views beside the flame graph: functions, and stacks.

import {change, percent, place, quantity} from './units.mjs';
import {net, weight} from './tree.mjs';

const ROWS_MOST = 300;

export function element(name, options = {}, ...children) {
    const made = Object.assign(document.createElement(name), options);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
}

function cell(text, className = '') {
    return element('td', {className}, text);
}

function nameOf({name, file, line, isInlined}) {
    return element('span', {className: 'name'}, name,
        file ? element('small', {}, ' ' + place(file, line)) : null,
        isInlined ? element('em', {}, ' inlined') : null);
}

function heads(row, ...names) {
    row.append(...names.map((name) =>
        element('th', {scope: 'col', className: /function|labels/.test(name) ? '' : 'number'}, name)));
    return row;
}

function rest(body, count, columns) {
    if (count && count <= ROWS_MOST) return;
    const more = cell(!count ? 'nothing to show'
        : 'and ' + (count - ROWS_MOST) + ' more: search or filter to see them', 'rest');
    more.colSpan = columns;
    body.append(element('tr', {}, more));
}

// rows of buildTop. order: 'flat' or 'cum'; onOrder(name) when a head is clicked; onPick(row) when a
// function is.
export function showTop(table, rows, {unit, isChange, matches, order, onOrder, onPick}) {
    const sorted = rows.filter(matches);
    if (order === 'cum') sorted.sort((a, b) => weight(b.cum) - weight(a.cum));
    const total = rows.reduce((sum, row) => sum + row.flat.plus, 0);
    const number = isChange ? (value) => change(net(value), unit)
                            : (value) => quantity(value.plus, unit);
    const share = (value) => percent(isChange ? net(value) : value.plus, total);
    const head = heads(table.createTHead().insertRow(), 'flat', '%', 'cum', '%', 'function');
    for (const th of head.cells) {
        const name = th.textContent;
        if (name !== 'flat' && name !== 'cum') continue;
        const click = () => onOrder(name);
        th.replaceChildren(element('button', {type: 'button', onclick: click}, name));
        th.setAttribute('aria-sort', name === order ? 'descending' : 'none');
    }
    const body = table.createTBody();
    for (const row of sorted.slice(0, ROWS_MOST)) {
        const pick = () => onPick(row);
        body.append(element('tr', {},
            cell(number(row.flat), 'number'), cell(share(row.flat), 'number share'),
            cell(number(row.cum), 'number'), cell(share(row.cum), 'number share'),
            element('td', {}, element('button', {type: 'button', onclick: pick}, nameOf(row)))));
    }
    rest(body, sorted.length, 5);
}

// A sum of ages says little: shown is their mean, by the first value, which counts.
function valueOf(values, i, types) {
    const isAge = types[i].type === 'age' && values[0];
    return quantity(isAge ? values[i] / values[0] : values[i], types[i].unit);
}

function ageOf(ages, key) {
    const age = ages.get(key);
    if (!age) return '';
    return age.longest ? 'up to ' + age.longest + ' min' : 'under 1 min';
}

function stackOf(frames) {
    const [leaf, ...callers] = frames;
    if (!leaf) return '(no stack)';
    if (callers.length === 0) return nameOf(leaf);
    const names = callers.map(({name}) => name);
    const line = '← ' + names.slice(0, 8).join(' ← ') + (names.length > 8 ? ' …' : '');
    return element('details', {},
        element('summary', {}, nameOf(leaf), element('small', {className: 'callers'}, line)),
        element('ol', {}, ...callers.map((frame) => element('li', {}, nameOf(frame)))));
}

function groupRow(row, rows, types, group, ages) {
    const sums = types.map((_, i) => rows.filter((one) => one.group === row.group)
        .reduce((sum, one) => sum + one.values[i], 0));
    return element('tr', {className: 'group'},
        ...types.map((_, i) => cell(valueOf(sums, i, types), 'number')),
        ages ? cell(ageOf(ages, row.group), 'number') : null,
        element('th', {scope: 'rowgroup'}, group + '=' + row.group));
}

// rows of buildStacks. ages: of readAges, or null.
export function showStacks(table, rows, {types, group, matches, ages}) {
    const found = rows.filter((row) => row.frames.some(matches));
    const names = types.map(({type}) => type === 'age' ? 'mean age' : type);
    heads(table.createTHead().insertRow(), ...names, ...ages ? ['in this state'] : [], 'function', 'labels');
    const body = table.createTBody();
    let current = null;
    for (const row of found.slice(0, ROWS_MOST)) {
        if (group && row.group !== current) {
            current = row.group;
            body.append(groupRow(row, found, types, group, group === 'state' ? ages : ages && new Map()));
        }
        const state = [...row.labels].find((label) => label.startsWith('state='))?.slice(6);
        const key = state + '\n' + row.frames.map((frame) => frame.name).join('\n');
        const labels = [...row.labels].filter((label) => !label.startsWith(group + '='));
        body.append(element('tr', {},
            ...types.map((_, i) => cell(valueOf(row.values, i, types), 'number')),
            ages ? cell(ageOf(ages, key), 'number') : null,
            element('td', {}, stackOf(row.frames)), cell(labels.slice(0, 8).join(', '), 'labels')));
    }
    rest(body, found.length, types.length + 3);
}
