// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict';
import test from 'node:test';
import {gzipSync} from 'node:zlib';

import {decode, read} from '../../../src/pprof/page/proto.mjs';
import {Writer, bytes, fixed64, int, packed} from './writer.mjs';

const types = [['samples', 'count'], ['cpu', 'nanoseconds']];
const main = {1: [['main', 'main.c', 7]]};

function valuesOf(values) {
    return decode(new Writer().write({types, samples: [{stack: [1], values}], locations: main}))
        .samples[0].values;
}

test('numbers keep their sign and size', () => {
    const numbers = [0, 1, 127, 128, 2 ** 32, 2 ** 49 - 1, 2 ** 49, Number.MAX_SAFE_INTEGER,
        -1, -2, -300, -(2 ** 40), Number.MIN_SAFE_INTEGER];
    assert.deepEqual(valuesOf(numbers), numbers);
});

test('numbers that no double holds are rounded, not wrapped', () => {
    assert.deepEqual(valuesOf([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n]),
        [2 ** 63, -(2 ** 63), 2 ** 53]);
});

test('a location has its frames, inlined ones first and marked', () => {
    const profile = decode(new Writer().write({
        types, samples: [{stack: [2, 1], values: [1, 10]}],
        locations: {...main, 2: [['inner', 'a.h', 3], ['outer', 'a.c', 9]]},
    }));
    assert.deepEqual(profile.samples[0].locations.map((frames) => frames.map(
        ({name, file, line, isInlined}) => [name, file, line, isInlined])), [
        [['inner', 'a.h', 3, true], ['outer', 'a.c', 9, false]], [['main', 'main.c', 7, false]]]);
    assert.deepEqual(profile.types, [{type: 'samples', unit: 'count'}, {type: 'cpu', unit: 'nanoseconds'}]);
});

test('an address without a name reads as itself', () => {
    const profile = decode(new Writer().write(
        {types, samples: [{stack: [1], values: [1, 1]}], locations: {1: []}}));
    assert.equal(profile.samples[0].locations[0][0].name, '0x1001');
});

test('labels are texts or numbers', () => {
    const labels = [['model', 'é'], ['bytes', 48], ['bytes', 0]];
    const profile = decode(new Writer().write(
        {types, samples: [{stack: [1], values: [1, 1], labels}], locations: main}));
    assert.deepEqual(profile.samples[0].labels, labels);
});

test('default type and duration are known, and absent without harm', () => {
    const some = {types, samples: [], locations: {}};
    assert.equal(decode(new Writer().write({...some, defaultType: 'cpu'})).defaultType, 'cpu');
    assert.equal(decode(new Writer().write({...some, duration: 5e9})).duration, 5e9);
    assert.equal(decode(new Uint8Array()).defaultType, '');
});

test('unknown fields and unpacked numbers are read over and read', () => {
    const sample = bytes(2, [...int(1, 1), ...int(1, 2), ...packed(2, [5]), ...int(2, 6), ...fixed64(99)]);
    const profile = decode(new Uint8Array([...fixed64(100), ...sample, ...int(101, 3), ...bytes(102, [1])]));
    assert.deepEqual(profile.samples[0].values, [5, 6]);
    assert.equal(profile.samples[0].locations.length, 2);
});

test('what is cut off is refused at every length', () => {
    const whole = new Writer().write({types, samples: [{stack: [1], values: [1, 300]}], locations: main});
    let refused = 0;
    for (let length = 1; length < whole.length; length++) {
        try {
            decode(whole.subarray(0, length));
        } catch {
            refused++;
        }
    }
    // Between two fields a message may end.
    assert.ok(refused > whole.length * 0.7, refused + ' of ' + whole.length);
    assert.throws(() => decode(new Uint8Array([0xff, 0xff])));
    assert.throws(() => decode(new Uint8Array(20).fill(0xff)));
    assert.throws(() => decode(new TextEncoder().encode('heap profile: 1: 2')));
});

test('a file is a gzip file', async () => {
    const file = gzipSync(new Writer().write({types, samples: [], locations: main}));
    assert.equal((await read(file)).types.length, 2);
    await assert.rejects(read(new TextEncoder().encode('no gzip')));
});
