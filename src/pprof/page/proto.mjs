// SPDX-License-Identifier: Apache-2.0
// Reads profile.proto (github.com/google/pprof), gzip'd, as the server sends it.
//
// A profile becomes
//   {types: [{type, unit}], samples: [{values, labels, locations}], defaultType, time, duration}
// where a location is a list of frames {name, file, line, isInlined, key}, innermost inlined
// function first; key is the same for frames of the same function. `locations` are leaf first.

// A whole number of 64 bits, as two's complement. Numbers hold 53 bits exactly; what is larger is
// rounded, and never taken for something small or of the other sign.
function varint(reader) {
    const {bytes} = reader;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 7; count++, scale *= 128) {
        const byte = bytes[reader.at++];
        value += (byte & 127) * scale;
        if (byte < 128) return value;
    }
    let big = BigInt(value);
    for (let shift = 49n; shift < 70n; shift += 7n) {
        const byte = bytes[reader.at++];
        big |= BigInt(byte & 127) << shift;
        if (byte < 128) return Number(BigInt.asIntN(64, big));
    }
    throw new Error('a number of the profile does not end');
}

// Calls visit(field, number, bytes) for each field of a message: one of the two is undefined.
function fields(bytes, visit) {
    const reader = {bytes, at: 0};
    while (reader.at < bytes.length) {
        const tag = varint(reader);
        const field = Math.floor(tag / 8);
        const kind = tag % 8;
        if (kind === 0) {
            visit(field, varint(reader));
            continue;
        }
        const length = kind === 2 ? varint(reader) : kind === 1 ? 8 : kind === 5 ? 4 : NaN;
        visit(field, undefined, bytes.subarray(reader.at, reader.at += length));
    }
    if (reader.at !== bytes.length) throw new Error('the profile is cut off, or is none');
}

// A repeated number may come packed, or one by one.
function numbers(list, number, bytes) {
    if (bytes === undefined) {
        list.push(number);
        return;
    }
    const reader = {bytes, at: 0};
    while (reader.at < bytes.length) list.push(varint(reader));
}

// A message as an object: its fields' numbers by name.
function message(bytes, names) {
    const out = {};
    fields(bytes, (field, number) => {
        if (names[field] !== undefined) out[names[field]] = number;
    });
    return out;
}

function sampleOf(bytes) {
    const sample = {locations: [], values: [], labels: []};
    fields(bytes, (field, number, inner) => {
        if (field === 1) numbers(sample.locations, number, inner);
        if (field === 2) numbers(sample.values, number, inner);
        if (field === 3) sample.labels.push(message(inner, {1: 'key', 2: 'text', 3: 'number'}));
    });
    return sample;
}

function locationOf(bytes) {
    const location = {id: 0, address: 0, lines: []};
    fields(bytes, (field, number, inner) => {
        if (field === 1) location.id = number;
        if (field === 3) location.address = number;
        if (field === 4) location.lines.push(message(inner, {1: 'function', 2: 'line'}));
    });
    return location;
}

const decoder = new TextDecoder();

// Function and file together: C has static functions, and many of one name. The same text is the
// same object, so that looking it up is quick.
const keys = new Map();
export function keyOf(name, file, isInlined) {
    const text = name + '\n' + file + '\n' + isInlined;
    if (!keys.has(text)) keys.set(text, text);
    return keys.get(text);
}

// From the bytes of the message to an object.
export function decode(bytes) {
    const raw = {types: [], samples: [], locations: [], functions: new Map(), texts: [], numbers: {}};
    fields(bytes, (field, number, inner) => {
        if (field === 1) raw.types.push(message(inner, {1: 'type', 2: 'unit'}));
        else if (field === 2) raw.samples.push(sampleOf(inner));
        else if (field === 4) raw.locations.push(locationOf(inner));
        else if (field === 5) {
            const one = message(inner, {1: 'id', 2: 'name', 4: 'file'});
            raw.functions.set(one.id, one);
        } else if (field === 6) raw.texts.push(decoder.decode(inner));
        else raw.numbers[field] = number;
    });
    return link(raw);
}

// Numbers become what they stand for.
function link(raw) {
    const text = (index) => raw.texts[index ?? 0] ?? '';
    const frameOf = (name, file, line, isInlined) =>
        ({name, file, line, isInlined, key: keyOf(name, file, isInlined)});
    const places = new Map();
    for (const {id, address, lines} of raw.locations) {
        const frames = lines.map((line, i) => {
            const of = raw.functions.get(line.function) ?? {};
            return frameOf(text(of.name), text(of.file), line.line ?? 0, i + 1 < lines.length);
        });
        if (frames.length === 0) frames.push(frameOf('0x' + address.toString(16), '', 0, false));
        places.set(id, frames);
    }
    return {
        types: raw.types.map((one) => ({type: text(one.type), unit: text(one.unit)})),
        samples: raw.samples.map(({locations, values, labels}) => ({
            values,
            labels: labels.map((one) => [text(one.key), one.text ? text(one.text) : one.number ?? 0]),
            locations: locations.map((id) => places.get(id) ?? []),
        })),
        defaultType: text(raw.numbers[14]),
        time: (raw.numbers[9] ?? 0) / 1e6,
        duration: raw.numbers[10] ?? 0,
    };
}

// From the file to an object.
export async function read(file) {
    const plain = new Blob([file]).stream().pipeThrough(new DecompressionStream('gzip'));
    return decode(new Uint8Array(await new Response(plain).arrayBuffer()));
}
