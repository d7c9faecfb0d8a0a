// SPDX-License-Identifier: Apache-2.0
// The page in a real Chromium, by clicks alone, against a program that runs somewhere under load:
// see browse.sh, which starts this. Prints TAP; leaves screenshots and the downloaded file in OUT.
//
// The tests follow each other on one page, as a person goes through it.

import assert from 'node:assert/strict';
import {execFileSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import {get} from 'node:http';
import {after, before, test as nodeTest} from 'node:test';
import {gzipSync} from 'node:zlib';

import {Writer} from './unit/writer.mjs';

const {URL_UNDER_TEST: base, OUT: out, PLAYWRIGHT: playwright, GO: go = 'go'} = process.env;
// Large bodies make this function hot, however the scanner below goes about it, and the compiler
// puts the other one into it.
const [name, file, callee] = (process.env.HOT ?? 'router_on_body router.c read_piece').split(' ');
const hot = {name, file, callee};
const windows = Number(process.env.WINDOWS ?? 4);       // PPROF_CPU_WINDOWS
// For a slow machine; no measure of speed.
const PATIENCE_MS = 180_000;
const STEP_MS = 60_000;
const SIZE_MOST = 15 * 1024;

const {chromium} = await import(playwright + '/index.mjs');
const test = (name, run) => nodeTest(name, {timeout: PATIENCE_MS}, run);
let browser, page;
const requests = new Set();
const complaints = [];

async function newPage(options) {
    const context = await browser.newContext({viewport: {width: 1200, height: 900}, ...options});
    context.setDefaultTimeout(STEP_MS);
    const fresh = await context.newPage();
    fresh.on('request', (one) => requests.add(one.url()));
    // A violation of the policy is an error on the console, too.
    fresh.on('console', (one) => {
        if (one.type() === 'error') complaints.push(one.text() + ' ' + one.location().url);
    });
    fresh.on('pageerror', (error) => complaints.push(error.stack));
    return fresh;
}

before(async () => {
    mkdirSync(out, {recursive: true});
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        // As root Chromium has no sandbox of its own.
        args: [...process.getuid() === 0 ? ['--no-sandbox'] : [], '--disable-gpu', '--disable-quic'],
    });
    page = await newPage({colorScheme: 'light'});
});
after(() => browser.close());

const screenshot = (name, of = page) => of.screenshot({path: out + '/' + name + '.png'});
const idle = (of = page) => of.waitForSelector('#progress', {state: 'hidden'});
const frame = (name) => page.locator('.frame[aria-label^="' + name + ',"]').first();
const total = () => page.textContent('#total');
const optionsOf = (id) => page.$$eval('#' + id + ' option', (all) => all.map((one) => one.textContent));

// Does what makes the page take a profile, and waits until that one is shown.
async function taking(action, of = page) {
    await of.$$eval('#held option', (all) => all.forEach((one) => { one.dataset.old = ''; }));
    await action();
    await of.waitForSelector('#held option:not([data-old])', {state: 'attached'});
    await idle(of);
}
const takeAgain = () => taking(() => page.click('#go'));

async function show(name, of = page) {
    await of.goto(base + '#');
    await taking(() => of.click('a.see[href="#' + name + '"]'), of);
}

// Asks the server from outside the browser.
function ask(path, signal) {
    return new Promise((resolve, reject) => {
        get(new URL(path, base), {signal, headers: {'accept-encoding': 'gzip'}}, (response) => {
            const pieces = [];
            response.on('data', (piece) => pieces.push(piece));
            response.on('end', () => resolve({status: response.statusCode, headers: response.headers,
                                              body: Buffer.concat(pieces)}));
            response.on('error', reject);
        }).on('error', reject);
    });
}

// Takes so many of the server's windows for CPU profiles, until `stop` is aborted.
function hold(count, {signal}) {
    const one = () => ask('profile?seconds=300', signal).then(({status}) => {
        if (status !== 200 && !signal.aborted) one();
    }, () => {});
    for (let i = 0; i < count; i++) one();
}

// Asks for a short profile until the answer is as wanted.
async function untilProfilesAre(wanted) {
    for (;;) {
        const {status, body} = await ask('profile?seconds=1');
        assert.ok(status === 200 || /already in use/.test(body), status + ' ' + body.subarray(0, 200));
        if (wanted === (status === 200 ? 'free' : 'busy')) return;
    }
}

test('the index is Go\'s table, and each profile has a flame graph', async () => {
    await page.goto(base);
    const rows = await page.$$eval('tbody tr', (all) => all.map((row) =>
        [...row.cells].map((cell) => cell.textContent)));
    const names = rows.map(([, name]) => name);
    for (const name of ['allocs', 'block', 'goroutine', 'heap', 'mutex', 'profile', 'threadcreate']) {
        assert.ok(names.includes(name), name);
    }
    for (const [count, name, flame] of rows) {
        assert.match(count, /^\d+$/);
        assert.equal(flame !== '', !['cmdline', 'symbol'].includes(name), name);
    }
    assert.equal(await page.getAttribute('tbody a', 'href'), names[0] + '?debug=1');
    await screenshot('index-light');
});

test('without JavaScript it is Go\'s index', async () => {
    const plain = await newPage({javaScriptEnabled: false});
    await plain.goto(base);
    assert.ok((await plain.locator('tbody tr').count()) >= 9);
    assert.equal(await plain.locator('#viewer').count(), 0);
    assert.match(await plain.innerText('body'), /full goroutine stack dump[^]*What each is:/);
    await plain.click('tbody a');
    assert.match(await plain.innerText('body'), /^heap profile: /);
    await plain.context().close();
});

test('an address measures nothing by itself', async () => {
    await page.goto(base + '#profile');
    await page.waitForSelector('#viewer:not([hidden])');
    assert.ok(await page.isHidden('#progress'));
    assert.ok(await page.isHidden('#shown'));
});

test('one click takes a CPU profile; the hot function has file, line and its inlined callee', async () => {
    await page.goto(base + '#');
    await taking(async () => {
        await page.click('a.see[href="#profile"]');
        await page.waitForFunction(() => / s left$/.test(document.getElementById('left').value));
        await screenshot('progress-light');
    });
    // On a machine that is busy with other things five seconds may hold next to nothing.
    while (await frame(hot.name).count() === 0) await takeAgain();
    const label = await frame(hot.name).getAttribute('aria-label');
    assert.match(label, new RegExp('^' + hot.name + ', \\S*' + hot.file + ':[1-9]\\d*.*, .* %'));
    const inlined = await page.$$eval('.frame.inlined', (all) => all.map((one) =>
        [one.node.parent.name, one.node.name, one.getAttribute('aria-label')]));
    const callee = inlined.find(([caller, name]) => caller === hot.name && name === hot.callee);
    assert.ok(callee, JSON.stringify(inlined));
    assert.match(callee[2], /, inlined, /);
    assert.match(await frame(hot.name).textContent(), new RegExp(hot.file + ':\\d+$'));
    await screenshot('flame-light');
});

test('search marks what it finds and tells its share of the total', async () => {
    await page.fill('#search', hot.name);
    const share = /, ([\d.]+ %)/.exec(await frame(hot.name).getAttribute('aria-label'))[1];
    assert.equal(await page.locator('.frame[aria-label^="' + hot.name + ',"]').count(),
        await page.locator('.frame.match').count());
    if (await page.locator('.frame.match').count() === 1) {
        assert.equal(await page.inputValue('#search') && await page.$eval('#found', (one) => one.value),
            share + ' of the total');
    }
    await screenshot('search-light');
    await page.fill('#search', 'no such function');
    assert.equal(await page.$eval('#found', (one) => one.value), '0.0 % of the total');
    assert.equal(await page.locator('.frame.match').count(), 0);
    await page.fill('#search', '');
    assert.equal(await page.locator('#flame.searched').count(), 0);
});

test('a click zooms, Escape and the root zoom out', async () => {
    const whole = (await page.locator('#flame').boundingBox()).width;
    const width = async () => (await frame(hot.name).boundingBox()).width;
    const narrow = await width();
    assert.ok(narrow < whole * 0.95, narrow + ' of ' + whole);
    await frame(hot.name).click();
    assert.ok(await width() > whole * 0.99);
    assert.ok(await page.locator('.frame.above').count() > 3);
    await screenshot('zoom-light');
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement.className.includes('above')), false);
    await frame(hot.name).click();
    await page.selectOption('#value', {label: 'samples'});
    assert.ok(await width() > whole * 0.99, 'another value leaves what is zoomed into');
    await page.selectOption('#value', {label: 'cpu'});
    await page.locator('.frame').first().click();
    assert.equal(await width(), narrow);
});

test('the keyboard goes through frames, to the search and between the views', async () => {
    const focused = () => page.evaluate(() => document.activeElement.node?.name ?? document.activeElement.id);
    await page.locator('.frame').first().focus();
    assert.equal(await focused(), 'all');
    await page.keyboard.press('ArrowDown');
    const second = await focused();
    assert.notEqual(second, 'all');
    assert.match(await page.textContent('#point'), new RegExp('^' + second));
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowUp');
    assert.equal(await focused(), second);
    await page.keyboard.press('Enter');
    assert.equal(await page.locator('.frame.above').count(), 1);
    await page.keyboard.press('Home');
    await page.keyboard.press(' ');
    assert.equal(await page.locator('.frame.above').count(), 0);
    await page.keyboard.press('/');
    assert.equal(await focused(), 'search');
    assert.equal(await page.inputValue('#search'), '');
    await page.focus('#tab-flame');
    await page.keyboard.press('ArrowRight');
    assert.equal(await focused(), 'tab-top');
    await page.keyboard.press('ArrowLeft');
    assert.equal(await page.getAttribute('#tab-flame', 'aria-selected'), 'true');
});

test('a label filters and groups', async () => {
    const all = await total();
    // Work before the model is known has an operation only.
    const options = await optionsOf('filter');
    const label = ['model=', 'operation='].flatMap((start) => options.filter((one) => one.startsWith(start)))[0];
    assert.ok(label, options.join());
    const key = label.split('=')[0];
    await page.selectOption('#group', key);
    const groups = await page.$$eval('.frame[aria-level="2"]', (list) => list.map(({node}) => node.name));
    assert.ok(groups.includes(label), groups.join());
    assert.ok(groups.every((name) => name.startsWith(key + '=')), groups.join());
    await screenshot('group-light');
    await page.selectOption('#filter', label);
    assert.deepEqual(await page.$$eval('.frame[aria-level="2"]', (list) => list.map(({node}) => node.name)), [label]);
    assert.equal(await total() === all, groups.length === 1);
    await page.selectOption('#filter', '');
    await page.selectOption('#group', '');
    assert.equal(await total(), all);
});

test('another sample type shows its own values', async () => {
    assert.match(await total(), /^total [\d.]+ (s|ms|min)$/);
    assert.deepEqual(await optionsOf('value'), ['samples', 'cpu']);
    await page.selectOption('#value', {label: 'samples'});
    assert.match(await total(), /^total [\d\u202f]+$/);
    await page.selectOption('#value', {label: 'cpu'});
});

test('the table of functions has flat and cum, and leads back to the graph', async () => {
    await page.click('#tab-top');
    const column = (n) => page.$$eval('#top tbody tr', (rows, at) => rows.map((row) => parseFloat(row.cells[at].textContent)), n);
    const flat = await column(1);
    assert.deepEqual(flat, [...flat].sort((a, b) => b - a));
    await screenshot('functions-light');
    await page.click('#top th:nth-child(3) button');
    const cum = await column(3);
    assert.deepEqual(cum, [...cum].sort((a, b) => b - a));
    assert.equal(cum[0], 100);
    await page.click('#top tbody button:has-text("' + hot.name + '")');
    assert.equal(await page.inputValue('#search'), hot.name);
    assert.ok(await page.locator('.frame.match').count() > 0);
    await page.fill('#search', '');
});

test('two profiles are compared in red and blue', async () => {
    await page.fill('#seconds', '2');
    await takeAgain();
    assert.match((await optionsOf('held'))[0], /^profile 2 s, /);
    await page.selectOption('#base', {index: 1});
    assert.match(await total(), / → /);
    const hues = await page.$$eval('.frame', (all) => all.map((one) => one.style.getPropertyValue('--hue')));
    assert.ok(hues.length > 5 && hues.every((one) => one === '5' || one === '215'), hues.join());
    assert.match(await frame('run').getAttribute('aria-label'), / → /);
    await screenshot('compare-light');
    await page.click('#tab-top');
    assert.match(await page.textContent('#top tbody tr td'), /^[+-]|^0/);
    await page.click('#tab-flame');
    await page.selectOption('#base', '');
});

test('cancel frees the profiler in the server', async () => {
    const stop = new AbortController();
    hold(windows - 1, stop);
    await page.fill('#seconds', '300');
    await page.click('#go');
    await page.waitForFunction(() => / s left$/.test(document.getElementById('left').value));
    await untilProfilesAre('busy');
    await page.click('#cancel');
    await idle();
    assert.equal(await page.textContent('#problem'), '');
    // It was to last five minutes.
    await untilProfilesAre('free');
    stop.abort();
});

test('a refusal is shown in the server\'s words', async () => {
    const stop = new AbortController();
    hold(windows, stop);
    await untilProfilesAre('busy');
    await page.fill('#seconds', '5');
    await page.click('#go');
    await page.waitForSelector('#problem:not([hidden])');
    assert.match(await page.textContent('#problem'), /^profile: 500: Could not enable CPU profiling: /);
    stop.abort();
    await untilProfilesAre('free');
});

test('the download is a file for go tool pprof, and the line to copy gets one like it', async () => {
    await show('heap');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
    assert.match(download.suggestedFilename(), /^heap-\d{8}T\d{6}\.pb\.gz$/);
    await download.saveAs(out + '/heap.pb.gz');
    const top = (...source) => execFileSync(go, ['tool', 'pprof', '-top', ...source], {encoding: 'utf8'});
    assert.match(top(out + '/heap.pb.gz'), /Type: inuse_space/);
    const line = await page.textContent('#command');
    assert.equal(line, "go tool pprof '" + base + "heap'");
    assert.match(top(base + 'heap'), /Type: inuse_space/);
    await page.click('#copy');
    await page.waitForFunction(() => /^(copied|selected)$/.test(document.getElementById('copy').textContent));
    assert.equal(await page.evaluate(() => String(getSelection()).trim()), line);
});

test('a difference over seconds is taken of a profile that has a moment', async () => {
    assert.equal(await page.getAttribute('#seconds', 'placeholder'), 'now');
    await page.fill('#seconds', '1');
    await takeAgain();
    assert.match((await optionsOf('held'))[0], /^heap 1 s, /);
    assert.equal(await page.textContent('#command'), "go tool pprof '" + base + "heap?seconds=1'");
    await page.fill('#seconds', '');
});

test('threads are grouped by state and stack, with counts and how long', async () => {
    await show('goroutine');
    assert.equal(await page.getAttribute('#tab-stacks', 'aria-selected'), 'true');
    const groups = await page.$$eval('#stacks .group', (all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));
    assert.ok(groups.some(([, , name]) => name === 'state=IO wait'), JSON.stringify(groups));
    assert.ok(groups.every(([count, age]) => Number(count) > 0 && / min$/.test(age)), JSON.stringify(groups));
    const sum = groups.reduce((all, [count]) => all + Number(count), 0);
    assert.equal(await total(), 'total ' + sum);
    await page.click('#stacks summary');
    assert.ok(await page.locator('#stacks details[open] li').count() > 0);
    await screenshot('threads-light');
    await page.selectOption('#group', '');
    assert.equal(await page.locator('#stacks .group').count(), 0);
});

test('streams have counts and ages', async () => {
    await show('streams');
    await page.click('#tab-stacks');
    assert.match(await page.textContent('#stacks thead'), /^streamsmean age/);
    // Under load there are streams now and then.
    while (await total() === 'total 0') await takeAgain();
    const [count, age, name] = await page.$$eval('#stacks tbody tr:first-child td', (all) => all.map((one) => one.textContent));
    assert.match(count, /^[1-9]/);
    assert.match(age, /^[\d.]+ (ns|µs|ms|s)$/);
    assert.match(name, /^await.*stream$/);
    await screenshot('streams-light');
});

test('back and forward go between the index and what was taken', async () => {
    const taken = (await optionsOf('held')).length;
    await page.click('#back');
    await page.waitForSelector('#index:not([hidden])');
    assert.ok(await page.isHidden('#viewer'));
    await page.goBack();
    await page.waitForSelector('#viewer:not([hidden])');
    assert.equal((await optionsOf('held')).length, taken);
    await taking(() => page.selectOption('#name', 'mutex'));
    assert.match((await optionsOf('held'))[0], /^mutex, /);
    assert.match(page.url(), /#mutex$/);
});

test('what a screen reader needs is there', async () => {
    await show('heap');
    const nameless = await page.$$eval('#viewer select, #viewer input, #viewer button, #viewer a', (all) => all
        .filter((one) => !(one.labels?.length || one.textContent.trim() || one.ariaLabel)).map((one) => one.outerHTML));
    assert.deepEqual(nameless, []);
    const ids = await page.$$eval('[id]', (all) => all.map((one) => one.id));
    assert.equal(new Set(ids).size, ids.length);
    assert.equal(await page.locator('[role=tree] [role=treeitem]:not([aria-label])').count(), 0);
    assert.equal(await page.locator('[role=treeitem][tabindex="0"]').count(), 1);
    assert.equal(await page.locator('[role=tab][aria-selected=true]').count(), 1);
    assert.equal(await page.getAttribute('html', 'lang'), 'en');
});

// A profile of 10 000 distinct stacks, 5 to 40 deep, of 700 functions.
function largeProfile() {
    let seed = 1;
    const random = () => (seed = seed * 48271 % 0x7fffffff) / 0x7fffffff;
    // Most calls are a function's usual one; the others go to few more than to many.
    const callee = (caller) => random() < 0.8 ? caller % 700 + 1 : 1 + Math.floor(700 * random() ** 3);
    const locations = {};
    for (let i = 1; i <= 700; i++) locations[i] = [['function_' + i, 'src/part' + i % 12 + '/file' + i % 60 + '.c', i]];
    const samples = [];
    for (let i = 0; i < 10_000; i++) {
        const stack = [1];
        for (let j = 5 + Math.floor(36 * random()); j > 0; j--) stack.unshift(callee(stack[0]));
        stack.unshift(1 + i % 700, 1 + Math.floor(i / 700));
        samples.push({stack, values: [1, 1024 * Math.ceil(500 * random())]});
    }
    assert.equal(new Set(samples.map(({stack}) => stack.join())).size, 10_000);
    return gzipSync(new Writer().write({types: [['objects', 'count'], ['space', 'bytes']], samples, locations}));
}

test('10 000 distinct stacks are drawn with as few elements as can be seen', async (t) => {
    const large = await newPage();
    const file = largeProfile();
    await large.route('**/debug/pprof/heap', (route) => route.fulfill({body: file, contentType: 'application/octet-stream'}));
    await large.goto(base);
    const milliseconds = await large.evaluate(async () => {
        const start = performance.now();
        document.querySelector('a.see[href="#heap"]').click();
        while (document.querySelectorAll('.frame').length < 2) await new Promise(requestAnimationFrame);
        return performance.now() - start;
    });
    const seen = await large.evaluate(() => {
        const boxes = [...document.querySelectorAll('.frame')];
        const rows = new Set(boxes.map((box) => box.style.top)).size;
        return {boxes: boxes.length, rows, narrowest: Math.min(...boxes.map((box) => box.getBoundingClientRect().width)),
                width: document.getElementById('flame').clientWidth};
    });
    t.diagnostic('fetched, decoded and drawn in ' + Math.round(milliseconds) + ' ms: ' + JSON.stringify(seen));
    assert.ok(seen.rows > 10, JSON.stringify(seen));
    assert.ok(seen.narrowest > 1.9, JSON.stringify(seen));
    assert.ok(seen.boxes <= seen.rows * seen.width / 2, JSON.stringify(seen));
    await screenshot('large-light', large);
    await large.context().close();
});

test('dark and narrow', async () => {
    const dark = await newPage({colorScheme: 'dark'});
    const narrow = await newPage({viewport: {width: 390, height: 800}, hasTouch: true});
    for (const [name, one] of [['dark', dark], ['narrow', narrow]]) {
        await one.goto(base);
        await screenshot('index-' + name, one);
        await show('heap', one);
        await screenshot('flame-' + name, one);
        // Nothing makes the page wider than the screen.
        assert.ok(await one.evaluate(() => document.documentElement.scrollWidth <= innerWidth), name);
        await one.context().close();
    }
});

test('scripts and style are small, compressed, and known again', async (t) => {
    const files = [...requests].filter((url) => url.startsWith(base + 'page/'));
    assert.ok(files.length >= 3, files.join());
    let sum = 0;
    for (const url of files) {
        const {status, headers, body} = await ask(url);
        assert.equal(status, 200);
        assert.equal(headers['content-encoding'], 'gzip');
        assert.match(headers.etag, /^"[0-9a-f]+"$/);
        sum += body.length;
    }
    t.diagnostic(sum + ' bytes in ' + files.length + ' files');
    assert.ok(sum <= SIZE_MOST, sum + ' bytes');
});

test('nothing was asked of anybody else, and the browser had nothing to complain about', () => {
    const {origin} = new URL(base);
    assert.deepEqual([...requests].filter((url) => new URL(url).origin !== origin && !/^(data|blob):/.test(url)), []);
    // But for the refusal that a test provoked, and what a browser looks for beside a plain text.
    assert.deepEqual(complaints.filter((text) => !/status of 500|favicon\.ico$/.test(text)), []);
});
