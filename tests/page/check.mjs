// Looks at the page of a run in a real browser, and fails with a sentence for the first thing that is not as it must be.
//
//   node check.mjs --file report.html [--screenshots DIR]         a report: everything in its View is on the page
//   node check.mjs --url http://127.0.0.1:PORT/ [--live]          a served page; --live: until the run is over
//   node check.mjs --sample [--screenshots DIR]                   the page with sample.json, as a report and live
//
// GLEANER_TEST_NODE names the folder that has puppeteer-core in its node_modules, as ./test.sh does.
// CHROMIUM names the browser (default /usr/bin/chromium). --timeout SECONDS is how long --live waits (default 300).
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
// Where ./test.sh has put the packages.
const puppeteer = createRequire(join(process.env.GLEANER_TEST_NODE ?? HERE, 'check.mjs'))('puppeteer-core');
const FINAL = ['published', 'failed', 'interrupted', 'cancelled'];
const SIZES = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } };
const CSP = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:";
const VIEW_LINE = /^<script id="view" type="application\/json">(.*)<\/script>$/gm;
const LIVE_PARTS = ['dataset', 'state', 'phases', 'elapsed', 'eta', 'connection', 'figures', 'pipeline', 'queues', 'strata', 'chunk-map', 'events', 'recent', 'throughput'];
const REPORT_PARTS = ['lengths', 'invalid', 'warnings', 'trust', 'tree', 'provenance'];
const NUMBERS = ['written', 'validated', 'candidates', 'population', 'target'];

class Wrong extends Error {}

function must(holds, sentence) {
  if (!holds) throw new Wrong(sentence);
}

const count = (n) => Math.round(n).toLocaleString('en-US');

/** Whether what was looked for and left out is on the page, with its numbers. */
function sameTrust(shown, provenance) {
  const { privacy, decontamination, exclude } = provenance ?? {};
  const has = (name, ...parts) => parts.forEach((part) => must(shown[name]?.includes(part), `${name} is ${JSON.stringify(shown[name])}, without ${part}`));
  const isScan = privacy && (privacy.secrets !== 'off' || privacy.personal !== 'off');
  if (provenance === null) return has('privacy', 'nothing is published');
  has('privacy', ...(isScan ? [`secrets: ${privacy.secrets}`, `personal data: ${privacy.personal}`] : ['not scanned']));
  if (privacy) has('names of users', privacy.users ?? 'keep');
  for (const [rule, { records, times }] of Object.entries(privacy?.found ?? {})) has(rule, count(times), count(records));
  for (const one of decontamination?.benchmarks ?? []) has(`benchmark ${one.name}`, count(one.contaminated), count(one.texts), count(one.short_texts));
  if (exclude) has('excluded', count(exclude.matched), count(exclude.listed));
}

/** The View inside a page: null if it is live. */
function embedded(html) {
  const lines = [...html.matchAll(VIEW_LINE)];
  must(lines.length === 1, `the page has ${lines.length} lines with the View, not one`);
  return JSON.parse(lines[0][1]);
}

/** The page with a View put into it, as gleaner does it. */
function filled(html, view) {
  const json = JSON.stringify(view).replaceAll('<', '\\u003c');
  return html.replace(VIEW_LINE, () => `<script id="view" type="application/json">${json}</script>`);
}

/** A page that keeps to itself: what it asks for elsewhere is refused and noted, and so is every complaint. */
async function open(browser, address) {
  const page = await browser.newPage();
  const complaints = [];
  const foreign = [];
  const { origin, protocol } = new URL(address);
  const own = (url) => url.startsWith('data:') || (protocol === 'file:' ? url === address : new URL(url).origin === origin);
  await page.setRequestInterception(true);
  page.on('request', (request) => {
    if (own(request.url())) return request.continue();
    foreign.push(request.url());
    return request.abort();
  });
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  // What the page hears is kept, so that what it shows can be held against it.
  await page.evaluateOnNewDocument(() => {
    const heard = (window.heard = { different: 0, last: null });
    window.EventSource = class extends EventSource {
      constructor(...args) {
        super(...args);
        this.addEventListener('message', ({ data }) => {
          if (data !== heard.last) heard.different += 1;
          heard.last = data;
        });
      }
    };
  });
  await page.setViewport(SIZES.desktop);
  const response = await page.goto(address, { waitUntil: 'domcontentloaded' });
  const html = protocol === 'file:' ? await readFile(fileURLToPath(address), 'utf8') : await response.text();
  return { page, html, complaints, foreign };
}

/** What the page shows, as data. */
function shown() {
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
  const text = (element) => element?.textContent ?? null;
  return {
    title: document.title,
    state: text(document.querySelector('#state')),
    dataset: text(document.querySelector('#dataset')),
    phase: text(document.querySelector('#phases [aria-current]')),
    error: text(document.querySelector('#error:not([hidden])')),
    parts: all('[id]', (e) => e.id),
    hidden: all('section[hidden] [id]', (e) => e.id),
    chunks: all('[data-chunk]', (e) => [e.dataset.chunk, e.dataset.state, text(e.querySelector('sup')), e.title]),
    actors: all('[data-actor]', (e) => [e.dataset.actor, e.dataset.state, text(e.querySelector('.done')), text(e.querySelector('.restarts')), e.closest('[data-stage]')?.dataset.stage ?? 'supervisor']),
    strata: all('[data-stratum]', (e) => [e.dataset.stratum, Object.fromEntries([...e.querySelectorAll('[data-number]')].map((n) => [n.dataset.number, n.textContent]))]),
    jobs: all('[data-job]', (e) => [e.dataset.job, e.querySelector('[role=meter]').getAttribute('aria-valuenow'), text(e.lastChild).includes('done')]),
    queues: all('[data-queue]', (e) => [e.dataset.queue, text(e.querySelector('b'))]),
    events: all('[data-event]', (e) => [e.dataset.event, text(e.querySelector('dd'))]),
    recent: all('#recent li', (e) => text(e.querySelector('.text'))),
    figures: Object.fromEntries(all('[data-figure]', (e) => [e.dataset.figure, e.dataset.value])),
    tallies: all('[data-tally]', (e) => [e.dataset.tally, text(e)]),
    trust: Object.fromEntries(all('[data-trust]', (e) => [e.dataset.trust, text(e)])),
    lengths: all('[data-lengths]', (e) => [e.dataset.lengths, [...e.querySelectorAll('svg[aria-label]')].length, [...e.querySelectorAll('tbody td:nth-child(2)')].reduce((all, n) => all + Number(n.textContent.replaceAll(',', '')), 0)]),
    tree: all('[data-tree]', (e) => e.dataset.tree),
    lines: all('[data-series] path.line', (e) => e.getAttribute('d')),
    wires: document.querySelectorAll('.wires path[marker-end]').length,
    provenance: text(document.querySelector('#provenance')),
    foreign: all('img, iframe, object, embed, link:not([rel=icon])', (e) => e.outerHTML).concat([...document.scripts].slice(2).map((s) => s.outerHTML)),
  };
}

/** Two lists of [name, ...] in any order are equal, or it says where not. */
function same(what, found, wanted) {
  const sorted = (list) => list.map((item) => JSON.stringify(item)).sort();
  const [a, b] = [sorted(found), sorted(wanted)];
  const lost = b.find((item) => !a.includes(item));
  const extra = a.find((item) => !b.includes(item));
  must(lost === undefined, `${what}: the page does not show ${lost}${extra === undefined ? '' : `, it shows ${extra}`}`);
  must(a.length === b.length, `${what}: ${a.length} on the page, ${b.length} in the view`);
}

/** Holds what is shown against the view. */
function agree(view, page, isReport) {
  must(page.state === view.state, `the page shows the state ${page.state}, the view has ${view.state}`);
  must(page.dataset === view.run.dataset, `the page shows the dataset ${page.dataset}, the view has ${view.run.dataset}`);
  must(page.phase === view.phase, `the page shows the phase ${page.phase}, the view has ${view.phase}`);
  must(page.error === view.error, `the page shows the error ${page.error}, the view has ${view.error}`);
  same('chunks', page.chunks.map(([name, state, attempts]) => [name, state, attempts]),
    view.chunks.map((c) => [c.name, c.state, c.attempts > 1 ? count(c.attempts) : null]));
  for (const [name, , , title] of page.chunks) must(title.startsWith(`${name}: `), `chunk ${name} has the title ${title}`);
  same('actors', page.actors, view.actors.map((a) => [a.name, a.state, count(a.done), a.restarts > 0 ? `↻${count(a.restarts)}` : '', a.role]));
  same('strata', page.strata, view.strata.map((s) => [s.name, Object.fromEntries(NUMBERS.map((n) => [n, count(s[n])]))]));
  same('queues', page.queues, view.queues.map((q) => [q.name, count(q.now)]));
  same('jobs', page.jobs, (view.jobs ?? []).map((j) => {
    const part = (j.pieces + j.chunks + j.chunks_kept) / (Math.max(j.pieces_total, j.pieces) + j.chunks_total);
    return [j.name, String(j.done ? 100 : Math.round(part * 100)), j.done];
  }));
  must(page.hidden.includes('jobs') === !view.jobs?.length, 'the jobs of an engine are shown where there are none, or hidden');
  same('events', page.events, Object.entries(view.events).map(([kind, n]) => [kind, count(n)]));
  same('recent events', page.recent, view.recent.map((e) => e.text));
  const written = view.strata.reduce((all, s) => all + s.written, 0);
  const figures = { chunks: view.totals.chunks_done, read: view.totals.bytes, 'in-flight': view.in_flight.now, written };
  for (const [name, value] of Object.entries(figures)) must(page.figures[name] === String(value), `the figure ${name} is ${page.figures[name]}, the view has ${value}`);
  if (view.timeline.length > 1) must(page.lines.length === 2 && page.lines.every((d) => !/NaN|Infinity/.test(d)), 'the throughput has not two lines of numbers');
  must(page.wires > 6, 'the pipeline has no arrows');
  if (!isReport) return;
  same('invalid reasons and warnings', page.tallies, Object.entries(view.invalid).concat(Object.entries(view.warnings)).map(([name, n]) => [name, count(n)]));
  sameTrust(page.trust, view.provenance);
  must(page.lengths.length === view.strata.length, `${page.lengths.length} strata have lengths, the view has ${view.strata.length}`);
  for (const s of view.strata) {
    const [, charts, records] = page.lengths.find(([name]) => name === s.name) ?? must(false, `no lengths of ${s.name}`);
    const histograms = [s.turns, s.bytes, s.tokens].filter((h) => h.some(([, n]) => n > 0));
    must(charts === histograms.length, `${s.name} has ${charts} charts, the view has ${histograms.length} histograms`);
    const wanted = histograms.flat().reduce((all, [, n]) => all + n, 0);
    must(records === wanted, `${s.name}: the tables have ${records} records, the histograms ${wanted}`);
  }
  for (const c of view.chunks) for (const half of c.into ?? []) must(page.tree.includes(half), `${half}, a half of ${c.name}, is not in the tree of splits`);
  for (const value of [view.run.id, view.run.fingerprint, view.run.location, view.run.started_at]) must(page.provenance.includes(value), `the provenance lacks ${value}`);
  for (const key of Object.keys(view.provenance ?? {})) must(page.provenance.includes(key.replaceAll('_', ' ')), `the provenance lacks ${key}`);
}

/** At every size and in both schemes: it fits, and has its picture taken. */
async function look(page, name, screenshots) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewport(viewport);
    for (const scheme of ['light', 'dark']) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await page.evaluate(() => new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted))));
      const [width, room] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      must(width <= room, `at ${viewport.width}x${viewport.height} the page is ${width} wide, it has ${room}`);
      if (!screenshots) continue;
      const height = Math.min(await page.evaluate(() => document.documentElement.scrollHeight), 15_000);
      await page.screenshot({ path: join(screenshots, `${name}-${size}-${scheme}.png`), clip: { x: 0, y: 0, width: viewport.width, height }, captureBeyondViewport: true });
    }
  }
}

async function check(browser, address, { name, live = false, timeout = 300_000, screenshots, during }) {
  const { page, html, complaints, foreign } = await open(browser, address);
  try {
    let view = embedded(html);
    const isReport = view !== null;
    if (live) {
      must(!isReport, 'the page is a report, it has nothing to listen to');
      await during?.(page);
      await page.waitForFunction((final) => final.includes(document.querySelector('#state').textContent), { timeout }, FINAL)
        .catch(() => must(false, `no final state after ${timeout / 1000} s`));
      const heard = await page.evaluate(() => window.heard);
      must(heard.different >= 2, `only ${heard.different} different views came`);
      view = JSON.parse(heard.last);
      must((await page.$('#connection[data-connection=closed]')) !== null, 'the run is over, but the page still listens');
    } else {
      await page.waitForSelector('#main:not([data-views="0"])', { timeout: 30_000 }).catch(() => must(false, 'no view was drawn'));
    }
    const found = await page.evaluate(shown);
    for (const part of LIVE_PARTS.concat(isReport ? REPORT_PARTS : [])) must(found.parts.includes(part) && !found.hidden.includes(part), `the page lacks #${part}`);
    if (view !== null) agree(view, found, isReport);
    must(found.foreign.length === 0, `something became an element: ${found.foreign[0]}`);
    must(!found.title.includes('owned'), 'text from the view was run as a script');
    await look(page, name, screenshots);
    must(foreign.length === 0, `the page asked for ${foreign.join(', ')}`);
    must(complaints.length === 0, `the console complains: ${complaints.join('; ')}`);
    console.log(`${name}: ok, ${found.chunks.length} chunks, ${found.actors.length} actors, ${found.strata.length} strata`);
  } finally {
    await page.close();
  }
}

/** The sample while it still ran: what of it was there at `part` of the way. */
function earlier(view, part) {
  const less = (n) => Math.floor(n * part);
  const scaled = (object) => Object.fromEntries(Object.entries(object).map(([key, n]) => [key, key.endsWith('_total') ? n : less(n)]));
  return {
    ...view, state: 'running', phase: part < 0.5 ? 'reading' : 'writing', error: null, elapsed_ms: less(view.elapsed_ms), eta_ms: Math.round(90_000 * (1 - part)),
    // Before anything was split there were no halves.
    chunks: part < 0.5 ? view.chunks.filter((c) => !view.chunks.some((p) => p.into?.includes(c.name))).map((c) => ({ name: c.name, state: 'waiting', attempts: 0 })) : view.chunks,
    actors: view.actors.map((a) => ({ ...a, done: less(a.done) })), totals: scaled(view.totals),
    strata: view.strata.map((s) => ({ ...s, candidates: less(s.candidates), validated: less(s.validated), written: less(s.written) })),
    recent: view.recent.slice(0, less(view.recent.length)), timeline: view.timeline.slice(0, less(view.timeline.length)),
  };
}

/** A run that goes on, is cut off, and is over when the page comes back. */
async function checkLive(browser, html, view, screenshots) {
  let comeBack;
  const back = new Promise((done) => (comeBack = done));
  let streams = 0;
  const send = (response, v) => response.write(`data: ${JSON.stringify(v)}\n\n`);
  let first;
  const server = createServer(async (request, response) => {
    if (request.url !== '/events') {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': CSP }).end(html);
      return;
    }
    streams += 1;
    if (streams === 2) await back;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 50\n\n');
    if (streams === 1) {
      first = response;
      send(response, earlier(view, 0.4));
    } else send(response, view);
  });
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    await check(browser, `http://127.0.0.1:${server.address().port}/`, {
      name: 'live', live: true, timeout: 30_000, screenshots,
      during: async (page) => {
        await page.waitForSelector('#main[data-views="1"] [data-chunk="h40-7"][data-state=waiting]', { timeout: 10_000 });
        send(first, earlier(view, 0.8));
        await page.waitForSelector('#main[data-views="2"] .family [data-chunk="h80-7"][data-state=done]', { timeout: 10_000 });
        must(/[1-9]/.test(await page.$eval('[data-actor=fetcher-0] .rate', (e) => e.textContent)), 'a busy fetcher has no rate after two views');
        if (screenshots) await look(page, 'running', screenshots);
        first.end();
        await page.waitForSelector('#connection[data-connection=lost]', { timeout: 10_000 });
        comeBack();
      },
    });
    must(streams === 2, `the page listened ${streams} times, not twice`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** As many chunks as there can be: 40, each split down to depth 6. */
function manyChunks(view) {
  const chunks = [];
  const split = (n, i, depth) => {
    const into = [`h${2 * n}-${i}`, `h${2 * n}-${i + n}`];
    chunks.push(depth === 0 ? { name: `h${n}-${i}`, state: 'done', attempts: 1, rows: 1, bytes: 1000 } : { name: `h${n}-${i}`, state: 'split', attempts: 2, into });
    if (depth > 0) for (const half of [i, i + n]) split(2 * n, half, depth - 1);
  };
  for (let i = 0; i < 40; i++) split(40, i, 6);
  return { ...view, chunks };
}

/** A view of which nothing is there, and one that says nothing. */
const EMPTY = {
  version: '', run: { id: '', dataset: 'nothing yet', location: '', fingerprint: '', started_at: '' }, state: 'failed', error: null, phase: 'starting', elapsed_ms: 0, eta_ms: null,
  chunks: [], actors: [], queues: [], in_flight: { now: 0, peak: 0, budget: 0 }, totals: { rows: 0, bytes: 0, chunks_done: 0 }, strata: [], events: {}, recent: [],
  invalid: {}, warnings: {}, timeline: [], provenance: null,
};

/** The live page, put together as `src/telemetry/report.rs` does. */
async function livePage() {
  const part = (name) => readFile(join(HERE, '../../src/telemetry/page', name), 'utf8');
  return [
    await part('head.html'),
    '<style>\n',
    await part('style.css'),
    '</style>\n</head>\n',
    await part('body.html'),
    '<script>\n',
    await part('view.js'),
    await part('run.js'),
    await part('figures.js'),
    await part('live.js'),
    '</script>\n</body>\n</html>\n',
  ].join('');
}

async function checkSample(browser, screenshots) {
  const html = await livePage();
  must(embedded(html) === null, 'the page has a View in it');
  const view = JSON.parse(await readFile(join(HERE, 'sample.json'), 'utf8'));
  const folder = await mkdtemp(join(tmpdir(), 'gleaner-page-'));
  try {
    for (const [name, v] of Object.entries({ report: view, many: manyChunks(view), empty: EMPTY })) {
      const file = join(folder, `${name}.html`);
      await writeFile(file, filled(html, v));
      await check(browser, pathToFileURL(file).href, { name, screenshots });
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  await checkLive(browser, html, view, screenshots);
}

const { values: options } = parseArgs({
  options: { url: { type: 'string' }, file: { type: 'string' }, sample: { type: 'boolean' }, live: { type: 'boolean' }, screenshots: { type: 'string' }, timeout: { type: 'string', default: '300' } },
});
const { screenshots } = options;
if (screenshots) await mkdir(screenshots, { recursive: true });
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] });
try {
  if (options.sample) await checkSample(browser, screenshots);
  else if (options.file) await check(browser, pathToFileURL(resolve(options.file)).href, { name: 'report', screenshots });
  else if (options.url) await check(browser, options.url, { name: options.live ? 'live' : 'page', live: options.live, timeout: Number(options.timeout) * 1000, screenshots });
  else must(false, 'say --file FILE, --url URL or --sample');
} catch (error) {
  console.error(error instanceof Wrong ? `page: ${error.message}` : error);
  process.exitCode = 1;
} finally {
  await browser.close();
}
