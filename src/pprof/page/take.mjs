// SPDX-License-Identifier: Apache-2.0
// Fetches a profile: the file as the server sends it, and what it says. While the server measures,
// the time that is left can be shown, and aborting the signal ends the measurement there at once.

import {read} from './proto.mjs';

// The address of a profile, also for `go tool pprof`. seconds: '' for one of this moment.
export function addressOf(name, seconds) {
    const url = new URL(name, document.baseURI.split('#')[0]);
    if (seconds) url.searchParams.set('seconds', seconds);
    return url.href;
}

// onProgress(seconds gone) is called about ten times a second. Rejects with what the server says.
export async function take(name, seconds, signal, onProgress) {
    const began = performance.now();
    const tell = () => onProgress((performance.now() - began) / 1000);
    tell();
    const timer = setInterval(tell, 100);
    try {
        const response = await fetch(addressOf(name, seconds), {signal, cache: 'no-store'});
        if (!response.ok) {
            const words = (await response.text()).trim();
            throw new Error(response.status + ': ' + (words || response.statusText));
        }
        const file = await response.arrayBuffer();
        return {name, seconds, file, at: new Date(), profile: await read(file)};
    } finally {
        clearInterval(timer);
    }
}

// How long threads have been in their state, from the text of goroutine?debug=2: a map from
// "state", and from "state\nstack" with function names leaf first, to {count, longest} in minutes.
export function readAges(text) {
    const ages = new Map();
    const note = (key, minutes) => {
        const age = ages.get(key) ?? {count: 0, longest: 0};
        age.count++;
        age.longest = Math.max(age.longest, minutes);
        ages.set(key, age);
    };
    for (const record of text.split('\n\n')) {
        const head = /^goroutine \d+ \[([^\],]*)(?:, (\d+) minutes)?[^\]]*\]:$/m.exec(record);
        if (!head) continue;
        const names = record.slice(head.index + head[0].length).split('\n')
            .filter((line) => line.endsWith('(...)')).map((line) => line.slice(0, -5));
        note(head[1], Number(head[2] ?? 0));
        note(head[1] + '\n' + names.join('\n'), Number(head[2] ?? 0));
    }
    return ages;
}
