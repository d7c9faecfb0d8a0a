// SPDX-License-Identifier: Apache-2.0
// Quantities as people read them.

const scales = {
    nanoseconds: [[60e9, 'min'], [1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']],
    bytes: [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB'], [1, 'B']],
};

// 1.5 s, 512 KiB, 12 345.
export function quantity(value, unit) {
    const size = Math.abs(value);
    const scale = (scales[unit] ?? []).find(([least]) => size >= least);
    if (!scale) return Math.round(value).toLocaleString('en').replaceAll(',', '\u202f');
    const scaled = value / scale[0];
    const short = Math.abs(scaled) >= 100 ? Math.round(scaled) : Number(scaled.toPrecision(3));
    return short + ' ' + scale[1];
}

// The same with its sign, for differences.
export function change(value, unit) {
    return (value > 0 ? '+' : '') + quantity(value, unit);
}

export function percent(part, whole) {
    if (!whole) return '0 %';
    const share = 100 * part / whole;
    return share.toFixed(Math.abs(share) >= 99.95 ? 0 : 1) + ' %';
}

export function baseName(file) {
    return file.slice(file.lastIndexOf('/') + 1);
}

export function place(file, line) {
    return line ? file + ':' + line : file;
}
