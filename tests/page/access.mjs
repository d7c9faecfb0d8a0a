// SPDX-License-Identifier: Apache-2.0
// What a real browser does for those who may not look: it asks for a password where the server asks
// for a token, and says which page a request comes from. Prints TAP; access_test.go starts it.

import assert from 'node:assert/strict';
import {createServer} from 'node:http';
import {after, before, test as nodeTest} from 'node:test';

const {URL_UNDER_TEST: base, TOKEN: token, PLAYWRIGHT: playwright} = process.env;
const PATIENCE_MS = 180_000;
const STEP_MS = 60_000;

const {chromium} = await import(playwright + '/index.mjs');
const test = (name, run) => nodeTest(name, {timeout: PATIENCE_MS}, run);
const port = new URL(base).port;
let browser, elsewhere;

// A page of another site, with everything in it that may ask for a profile: the server's audit tells
// what became of it (a browser keeps that from the page, and from us).
const pageOf = (site) => `<!DOCTYPE html><title>elsewhere</title>
<a id="index" href="${base}">index</a> <a id="heap" href="${base}heap?debug=1&from=link&of=${site}">heap</a>
<img src="${base}heap?from=image&of=${site}"><iframe src="${base}?from=frame&of=${site}"></iframe>
<script src="${base}page/main.mjs?from=script&of=${site}"></script>
<script>fetch('${base}mutex?from=fetch&of=${site}', {mode: 'no-cors', credentials: 'include'}).catch(() => {});</script>`;
const sites = {localhost: 'cross-site', '127.0.0.1': 'same-site'};     // of 127.0.0.1

before(async () => {
    elsewhere = createServer((request, response) => {
        const host = request.headers.host.replace(/:.*/, '');
        response.setHeader('Content-Type', 'text/html').end(pageOf(sites[host]));
    });
    await new Promise((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: [...process.getuid() === 0 ? ['--no-sandbox'] : [], '--disable-gpu', '--disable-quic',
               '--host-resolver-rules=MAP evil.example 127.0.0.1'],
    });
});
after(async () => {
    await browser.close();
    elsewhere.close();
});

// Who has typed the token into the browser's dialog.
async function newPage(password) {
    const context = await browser.newContext(password ? {httpCredentials: {username: 'any', password}} : {});
    context.setDefaultTimeout(STEP_MS);
    return context.newPage();
}

test('without the token there is no page', async () => {
    const fresh = await newPage();
    await assert.rejects(fresh.goto(base), /ERR_INVALID_AUTH_CREDENTIALS/);
    await fresh.context().close();
});

test('with it there is the page, its scripts and a flame graph', async () => {
    const fresh = await newPage(token);
    assert.equal((await fresh.goto(base)).status(), 200);
    await fresh.click('a.see[href="#heap"]');
    await fresh.waitForSelector('#held option', {state: 'attached'});
    await fresh.waitForSelector('.frame');
    await fresh.context().close();
});

for (const [host, site] of Object.entries(sites)) {
    test('a page that is ' + site + ' may link to the index, and to nothing else', async () => {
        const fresh = await newPage(token);
        const start = `http://${host}:${elsewhere.address().port}/`;
        await fresh.goto(start, {waitUntil: 'networkidle'});
        const follow = async (link) => {
            await fresh.goto(start);
            const [response] = await Promise.all([fresh.waitForNavigation(), fresh.click(link)]);
            return response;
        };
        const heap = await follow('#heap');
        assert.equal(heap.status(), 403);
        assert.equal(await heap.request().headerValue('sec-fetch-site'), site);
        assert.equal((await follow('#index')).status(), 200);
        assert.equal(await fresh.title(), '/debug/pprof/');
        await fresh.context().close();
    });
}

// To such an origin the browser sends no Sec-Fetch-Site: it is the name that tells.
test('a name that was made to point here gets nothing', async () => {
    const fresh = await newPage(token);
    const response = await fresh.goto(`http://evil.example:${port}/debug/pprof/`);
    assert.equal(response.status(), 403);
    assert.equal(await response.request().headerValue('sec-fetch-site'), null);
    assert.match(await response.text(), /PPROF_ALLOWED_HOSTS/);
    await fresh.context().close();
});
