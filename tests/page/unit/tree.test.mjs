// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';

import {buildStacks, buildTop, buildTree, labelsOf, linesOf, net, search, weight}
    from '../../../src/pprof/page/tree.mjs';
import {change, percent, quantity} from '../../../src/pprof/page/units.mjs';
import {keyOf} from '../../../src/pprof/page/proto.mjs';
import {readAges} from '../../../src/pprof/page/take.mjs';

const frame = (name, line = 1, isInlined = false, file = name + '.c') =>
    ({name, file, line, isInlined, key: keyOf(name, file, isInlined)});
// Frames leaf first; each is a location of its own.
const sample = (values, labels, ...frames) => ({values, labels, locations: frames.map((one) => [one].flat())});
const profileOf = (...samples) => ({samples, types: [{type: 'cpu', unit: 'nanoseconds'}]});
const choose = (profile, more = {}) => ({profile, value: 0, filter: '', group: '', base: null, ...more});
const paths = (node, above = '') => [...node.children.values()].flatMap((child) => {
    const path = above + '/' + child.name;
    return [path + ' ' + child.plus + '-' + child.minus, ...paths(child, path)];
});

const main = frame('main');
const two = profileOf(
    sample([3], [['model', 'x']], frame('a', 10), main),
    sample([4], [['model', 'y']], frame('a', 20), main),
    sample([5], [], frame('b'), main));

test('equal functions under a caller are one frame, with the lines they were at', () => {
    const root = buildTree(choose(two));
    assert.deepEqual(paths(root), ['/main 12-0', '/main/a 7-0', '/main/b 5-0']);
    const [mainNode] = root.children.values();
    const [a] = mainNode.children.values();
    assert.deepEqual([...a.lines], [[10, 3], [20, 4]]);
    assert.deepEqual(linesOf(a), [20, 10]);
    assert.deepEqual(linesOf(mainNode), [1]);
    assert.deepEqual(linesOf(root), []);
    assert.equal(a.self, 7);
});

test('static functions of one name in two files are two frames', () => {
    const root = buildTree(choose(profileOf(
        sample([1], [], frame('run', 1, false, 'x.c'), main), sample([1], [], frame('run', 1, false, 'y.c'), main))));
    assert.equal([...root.children.values()][0].children.size, 2);
});

test('inlined frames stand below the function that they were inlined into', () => {
    const root = buildTree(choose(profileOf(sample([1], [], [frame('inner', 3, true), frame('outer', 9)], main))));
    assert.deepEqual(paths(root), ['/main 1-0', '/main/outer 1-0', '/main/outer/inner 1-0']);
});

test('a filter keeps the samples with that label, a group makes its values the first row', () => {
    assert.deepEqual(paths(buildTree(choose(two, {filter: 'model=x'}))), ['/main 3-0', '/main/a 3-0']);
    const grouped = buildTree(choose(two, {group: 'model'}));
    assert.deepEqual([...grouped.children.values()].map(({name, plus}) => name + ' ' + plus),
        ['model=x 3', 'model=y 4', 'model=(none) 5']);
});

test('compared, what went away stays visible and the totals add up', () => {
    const base = profileOf(sample([2], [], frame('a'), main), sample([6], [], frame('gone'), main));
    const root = buildTree(choose(two, {base, scale: 0.5}));
    assert.deepEqual(paths(root), ['/main 12-4', '/main/a 7-1', '/main/b 5-0', '/main/gone 0-3']);
    assert.equal(net(root), 8);
    assert.equal(weight(root), 16);
});

test('in a difference, what went down is minus', () => {
    const root = buildTree(choose(profileOf(sample([5], [], frame('a'), main), sample([-3], [], frame('b'), main))));
    assert.deepEqual(paths(root), ['/main 5-3', '/main/a 5-0', '/main/b 0-3']);
});

test('in the table recursion counts once, and flat belongs to the leaf', () => {
    const again = frame('again');
    const rows = buildTop(choose(profileOf(sample([4], [], again, again, again, main), sample([1], [], main))));
    assert.deepEqual(rows.map(({name, flat, cum}) => [name, flat.plus, cum.plus]), [['again', 4, 4], ['main', 1, 5]]);
});

test('the leaf of an inlined call is the innermost function', () => {
    const [row] = buildTop(choose(profileOf(sample([4], [], [frame('inner', 3, true), frame('outer', 9)], main))));
    assert.deepEqual([row.name, row.isInlined, row.flat.plus], ['inner', true, 4]);
});

test('equal stacks are one row, grouped by a label if asked, the largest first', () => {
    const profile = profileOf(sample([1, 10], [['state', 'idle']], frame('w')), sample([2, 20], [['state', 'idle']], frame('w')),
        sample([9, 1], [['state', 'running']], frame('r')), sample([1, 1], [['state', 'running']], frame('w')));
    assert.deepEqual(buildStacks(choose(profile)).map((row) => row.values), [[9, 1], [4, 31]]);
    assert.deepEqual(buildStacks(choose(profile, {group: 'state'})).map(({group, values}) => [group, ...values]),
        [['running', 9, 1], ['running', 1, 1], ['idle', 3, 30]]);
});

test('a search counts each part once', () => {
    const root = buildTree(choose(profileOf(sample([3], [], frame('x2'), frame('x1'), main), sample([4], [], main))));
    const found = [];
    assert.equal(search(root, ({name}) => name.startsWith('x'), (node) => found.push(node.name)), 3);
    assert.deepEqual(found, ['x1', 'x2']);
});

test('labels are listed with their values, numbers in their order', () => {
    const profile = profileOf(sample([1], [['bytes', 1024], ['a', 'z']]), sample([1], [['bytes', 48], ['a', 'y']]));
    assert.deepEqual([...labelsOf(profile)], [['a', ['y', 'z']], ['bytes', [48, 1024]]]);
});

test('quantities read as people write them', () => {
    assert.deepEqual([0, 999, 1500, 1.5e9, 90e9, -2e6].map((n) => quantity(n, 'nanoseconds')),
        ['0', '999 ns', '1.5 µs', '1.5 s', '1.5 min', '-2 ms']);
    assert.deepEqual([1, 1023, 1024, 1536 * 1024].map((n) => quantity(n, 'bytes')), ['1 B', '1023 B', '1 KiB', '1.5 MiB']);
    assert.equal(quantity(1234567, 'count'), '1\u202f234\u202f567');
    assert.equal(change(5, 'count') + change(-5, 'count') + change(0, 'count'), '+5-50');
    assert.deepEqual([percent(1, 3), percent(3, 3), percent(1, 0)], ['33.3 %', '100 %', '0 %']);
});

test('a dump tells how long threads have been in their state', () => {
    const ages = readAges('# thread a\ngoroutine 1 [running]:\nread_self(...)\n\tx.c:1 +0x1\n\n' +
        '# thread b\ngoroutine 2 [IO wait, 3 minutes]:\npoll(...)\n\tp.c:7 +0x1\nrun(...)\n\tw.c:9 +0x2\ncreated by main in goroutine 1\n\tm.c:1 +0x1\n\n' +
        '# thread c\ngoroutine 3 [IO wait]:\npoll(...)\n\tp.c:7 +0x1\n\nstreams in flight: 0\n');
    assert.deepEqual(ages.get('IO wait'), {count: 2, longest: 3});
    assert.deepEqual(ages.get('IO wait\npoll\nrun'), {count: 1, longest: 3});
    assert.deepEqual(ages.get('running\nread_self'), {count: 1, longest: 0});
});
