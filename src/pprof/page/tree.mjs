// SPDX-License-Identifier: Apache-2.0
// From samples to what is drawn: a tree of frames, a table of functions, a list of stacks.
//
// Everything is counted twice, as `plus` and `minus`. Usually all is plus. With a second profile to
// compare with, that one is minus; and in a difference over time what went down is minus. The sum
// of both is how wide a frame is drawn, their difference is what has changed: so nothing that went
// away becomes invisible.

import {keyOf} from './proto.mjs';

export const weight = (node) => node.plus + node.minus;
export const net = (node) => node.plus - node.minus;

// Calls visit(sample, plus, minus) for the samples that the choice lets pass.
// choice: {profile, value, filter, base, scale}; value: number of the sample type; filter: a
// "key=value" or ''; base: another profile or null, whose values count `scale` times.
function visitSamples({profile, value, filter, base, scale = 1}, visit) {
    const passes = (sample) =>
        !filter || sample.labels.some(([key, text]) => key + '=' + text === filter);
    for (const sample of profile.samples) {
        const number = sample.values[value];
        if (number && passes(sample)) visit(sample, Math.max(number, 0), Math.max(-number, 0));
    }
    for (const sample of base?.samples ?? []) {
        const number = sample.values[value] * scale;
        if (number && passes(sample)) visit(sample, Math.max(-number, 0), Math.max(number, 0));
    }
}

export function labelOf(sample, key) {
    return sample.labels.find(([name]) => name === key)?.[1];
}

// The frames of a sample, root first; calls visit(frame).
function visitFrames(sample, visit) {
    const {locations} = sample;
    for (let i = locations.length - 1; i >= 0; i--) {
        for (let j = locations[i].length - 1; j >= 0; j--) visit(locations[i][j]);
    }
}

function newNode(name, file, isInlined, parent) {
    return {name, file, isInlined, parent, plus: 0, minus: 0, self: 0,
            line: 0, lines: null, children: NONE};
}

// What most nodes have is not made for each.
const NONE = new Map();

// A function is one node under its caller, whatever line it was at.
function childOf(parent, {name, file, isInlined, key}) {
    let child = parent.children.get(key);
    if (!child) {
        if (parent.children === NONE) parent.children = new Map();
        parent.children.set(key, child = newNode(name, file, isInlined, parent));
    }
    return child;
}

// `lines` says how much was at each line; it is null as long as there is only one.
function addLine(node, line, value) {
    if (line !== node.line && node.line && !node.lines) {
        node.lines = new Map([[node.line, weight(node) - value]]);
    }
    node.line ||= line;
    node.lines?.set(line, (node.lines.get(line) ?? 0) + value);
}

function add(node, plus, minus, line) {
    node.plus += plus;
    node.minus += minus;
    if (line) addLine(node, line, plus + minus);
}

// choice.group: the key of a label whose values become the first row; '' for none.
export function buildTree(choice) {
    const root = newNode('all', '', false, null);
    visitSamples(choice, (sample, plus, minus) => {
        let node = root;
        add(node, plus, minus);
        if (choice.group) {
            const value = labelOf(sample, choice.group) ?? '(none)';
            const name = choice.group + '=' + value;
            node = childOf(node, {name, file: '', isInlined: false, key: keyOf(name, '', false)});
            add(node, plus, minus);
        }
        visitFrames(sample, (frame) => {
            node = childOf(node, frame);
            add(node, plus, minus, frame.line);
        });
        node.self += plus + minus;
    });
    return root;
}

// The lines a node was at, that with most of its value first; none if none is known.
export function linesOf({line, lines}) {
    if (!lines) return line ? [line] : [];
    return [...lines].sort((a, b) => b[1] - a[1]).map(([one]) => one);
}

// Rows {name, file, flat: {plus, minus}, cum: {plus, minus}}, the largest flat first.
export function buildTop(choice) {
    const rows = new Map();
    const rowOf = ({name, file, isInlined}) => {
        const key = keyOf(name, file, false);
        let row = rows.get(key);
        if (!row) {
            rows.set(key, row = {name, file, isInlined: false, flat: newNode(), cum: newNode()});
        }
        row.isInlined ||= isInlined;
        return row;
    };
    visitSamples(choice, (sample, plus, minus) => {
        const seen = new Set();
        let last = null;
        visitFrames(sample, (frame) => seen.add(last = rowOf(frame)));
        for (const row of seen) add(row.cum, plus, minus);
        if (last) add(last.flat, plus, minus);
    });
    return [...rows.values()].sort((a, b) =>
        weight(b.flat) - weight(a.flat) || weight(b.cum) - weight(a.cum));
}

// Rows {group, frames (leaf first), values, labels}: equal stacks are one, apart by the group's
// label if there is one. All values are added up; the largest first.
export function buildStacks(choice) {
    const rows = new Map();
    visitSamples({...choice, base: null}, (sample) => {
        const group = choice.group ? labelOf(sample, choice.group) ?? '(none)' : '';
        const frames = sample.locations.flat();
        const key = group + '\n' + frames.map((one) => one.name + ' ' + one.line).join('\n');
        let row = rows.get(key);
        if (!row) {
            const values = sample.values.map(() => 0);
            rows.set(key, row = {group, frames, values, labels: new Set()});
        }
        sample.values.forEach((number, i) => row.values[i] += number);
        for (const [name, value] of sample.labels) row.labels.add(name + '=' + value);
    });
    const size = (row) => Math.abs(row.values[choice.value]);
    const totals = new Map();
    for (const row of rows.values()) {
        totals.set(row.group, (totals.get(row.group) ?? 0) + size(row));
    }
    const list = [...rows.values()].sort((a, b) =>
        totals.get(b.group) - totals.get(a.group) || (a.group < b.group ? -1 : a.group > b.group) ||
        size(b) - size(a));
    return list;
}

// The labels in a profile: a map from key to its values, sorted.
export function labelsOf(profile) {
    const found = new Map();
    for (const {labels} of profile.samples) {
        for (const [key, value] of labels) {
            if (!found.has(key)) found.set(key, new Set());
            found.get(key).add(value);
        }
    }
    const order = (a, b) => (typeof a === 'number' ? a - b : a < b ? -1 : 1);
    return new Map([...found].sort().map(([key, values]) => [key, [...values].sort(order)]));
}

// How much of a tree is under frames that match, each part counted once; visit(node) is called for
// every frame that does.
export function search(root, matches, visit) {
    let sum = 0;
    const walk = (node, isInside) => {
        const isMatch = matches(node);
        if (isMatch) visit(node);
        if (isMatch && !isInside) sum += weight(node);
        for (const child of node.children.values()) walk(child, isInside || isMatch);
    };
    walk(root, false);
    return sum;
}
