// SPDX-License-Identifier: Apache-2.0
// Writes a profile from profile.proto, so that the reader under test is not asked about itself.

function varint(number) {
    const bytes = [];
    let rest = BigInt.asUintN(64, BigInt(number));
    do {
        bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
        rest >>= 7n;
    } while (rest);
    return bytes;
}

export const int = (field, number) => [...varint(field * 8), ...varint(number)];
export const bytes = (field, content) => [...varint(field * 8 + 2), ...varint(content.length), ...content];
export const fixed64 = (field) => [...varint(field * 8 + 1), 1, 2, 3, 4, 5, 6, 7, 8];
export const packed = (field, numbers) => bytes(field, numbers.flatMap(varint));

// A profile of stacks: {types: [[type, unit]], samples: [{stack: [location ids, leaf first], values,
// labels: [[key, text or number]]}], locations: {id: [[function, file, line], innermost first]}}.
export class Writer {
    texts = [''];
    functions = [];

    text(text) {
        const known = this.texts.indexOf(text);
        return known >= 0 ? known : this.texts.push(text) - 1;
    }

    function(name, file) {
        const key = name + '\n' + file;
        const known = this.functions.indexOf(key);
        return known >= 0 ? known + 1 : this.functions.push(key);
    }

    write({types, samples, locations, defaultType, duration = 0}) {
        const out = [];
        for (const [type, unit] of types) {
            out.push(bytes(1, [...int(1, this.text(type)), ...int(2, this.text(unit))]));
        }
        for (const {stack, values, labels = []} of samples) {
            out.push(bytes(2, [...packed(1, stack), ...packed(2, values),
                ...labels.flatMap(([key, value]) => bytes(3, [...int(1, this.text(key)),
                    ...typeof value === 'number' ? int(3, value) : int(2, this.text(value))]))]));
        }
        for (const [id, lines] of Object.entries(locations)) {
            out.push(bytes(4, [...int(1, id), ...int(3, 0x1000 + Number(id)),
                ...lines.flatMap(([name, file, line]) =>
                    bytes(4, [...int(1, this.function(name, file)), ...int(2, line)]))]));
        }
        this.functions.forEach((key, i) => {
            const [name, file] = key.split('\n');
            out.push(bytes(5, [...int(1, i + 1), ...int(2, this.text(name)), ...int(4, this.text(file))]));
        });
        if (defaultType) out.push(int(14, this.text(defaultType)));
        out.push(int(10, duration));
        for (const text of this.texts) out.push(bytes(6, new TextEncoder().encode(text)));
        return new Uint8Array(out.flat());
    }
}
