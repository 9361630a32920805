'use strict';

// ---------------------------------------------------------------- words

const FINAL = ['published', 'failed', 'interrupted', 'cancelled'];
const PHASES = ['starting', 'census', 'reading', 'grouping', 'writing', 'publishing', 'done'];
const ROLES = { fetcher: 'Fetchers', dedup: 'Dedup', sampler: 'Samplers', validator: 'Validators', uploader: 'Uploaders' };
const CHUNKS = { waiting: '·', fetching: 'F', retrying: 'R', done: '✓', replayed: 'P', split: 'S', missing: 'M' };
const CHUNK_WORDS = { replayed: 'replayed: sealed by an earlier start' };
const EVENTS = {
  actor_exits: 'actors that exited', restarts: 'actors started again',
  rebuilds: 'dedup and the samplers started again together, from what is sealed',
  requeues: 'chunks that went to another fetcher', splits: 'chunks split in two',
  lease_losses: 'workers ended because they showed no progress', late_results: 'results refused: their lease was lost',
  throttles: 'times the source asked for less', census_refetches: 'censuses fetched again',
  missing: 'chunks that the dataset goes without', record_panics: 'panics over a record',
};
/** A busy actor that has shown no progress for longer is called quiet. */
const QUIET_MS = 5000;
/** Rates are taken over about so much of the run. */
const WINDOW_MS = 5000;

const english = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const count = (n) => english.format(n);

function size(n, step, units) {
  let unit = 0;
  for (; n >= step * 0.9995 && unit < units.length - 1; unit++) n /= step;
  return `${unit === 0 || n >= 99.95 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}
const bytes = (n) => size(n, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB']);
const binary = (n) => size(n, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']).replace('.0 ', ' ');

function duration(ms) {
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, '0');
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${count(Math.floor(whole / 3600))} h ${two(Math.floor(whole / 60) % 60)} min`;
}

function rate(perSecond) {
  return perSecond === null ? '' : `${perSecond < 9.95 ? perSecond.toFixed(1) : count(perSecond)}/s`;
}

const words = (name) => name.replaceAll('_', ' ');
const share = (part, whole) => (whole > 0 ? Math.min(1, Math.max(0, part / whole)) : 0);
const percent = (part) => `${(part * 100).toFixed(2)}%`;
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const plural = (n, word) => `${count(n)} ${word}${n === 1 ? '' : 's'}`;

// ---------------------------------------------------------------- views

/** The view with every key that is drawn, whatever was missing or of another kind. */
function complete(raw) {
  const object = (x) => (x !== null && typeof x === 'object' && !Array.isArray(x) ? x : {});
  const list = (x) => (Array.isArray(x) ? x : []);
  const number = (x) => (Number.isFinite(x) ? x : 0);
  const text = (x, otherwise = '') => (typeof x === 'string' ? x : otherwise);
  const numbers = (x, keys) => Object.fromEntries(keys.map((key) => [key, number(object(x)[key])]));
  const tally = (x) => Object.entries(object(x)).filter(([, n]) => Number.isFinite(n));
  const histogram = (x) => list(x).filter((bin) => Array.isArray(bin) && bin.length === 2 && bin.every(Number.isFinite));
  const v = object(raw);
  return {
    version: text(v.version), run: object(v.run), state: text(v.state, 'running'), error: text(v.error, null),
    phase: text(v.phase, 'starting'), elapsed_ms: number(v.elapsed_ms), eta_ms: Number.isFinite(v.eta_ms) ? v.eta_ms : null,
    chunks: list(v.chunks).map((c) => ({
      name: text(c.name, '?'), state: text(c.state, 'waiting'), attempts: number(c.attempts),
      into: list(c.into).filter((half) => typeof half === 'string'), rows: c.rows ?? null, bytes: c.bytes ?? null,
    })),
    jobs: list(v.jobs).map((j) => ({
      name: text(j.name, '?'), done: j.done === true, ...numbers(j, ['pieces', 'pieces_total', 'rows', 'chunks', 'chunks_kept', 'chunks_total']),
    })),
    actors: list(v.actors).map((a) => ({
      name: text(a.name, '?'), role: text(a.role), state: text(a.state, 'idle'), doing: text(a.doing, null),
      ...numbers(a, ['silent_ms', 'done', 'restarts']),
    })),
    queues: list(v.queues).map((q) => ({ name: text(q.name, '?'), now: number(q.now) })),
    in_flight: numbers(v.in_flight, ['now', 'peak', 'budget']),
    totals: numbers(v.totals, ['rows', 'bytes', 'input_bytes', 'bytes_total', 'bytes_written', 'bytes_kept', 'chunks_total',
      'chunks_done', 'chunks_replayed', 'chunks_failed']),
    strata: list(v.strata).map((s) => ({
      name: text(s.name, '?'), ...numbers(s, ['target', 'population', 'candidates', 'validated', 'written']),
      turns: histogram(s.turns), bytes: histogram(s.bytes), tokens: histogram(s.tokens),
    })),
    events: tally(v.events),
    recent: list(v.recent).map((e) => ({ ...numbers(e, ['number', 'at_ms']), kind: text(e.kind), text: text(e.text) })),
    invalid: tally(v.invalid), warnings: tally(v.warnings),
    series: list(v.timeline).map((p) => numbers(p, ['t_ms', 'rows', 'bytes', 'written', 'in_flight'])),
    provenance: v.provenance ?? null,
  };
}

/** Rates over the last few views. What has fallen in between (an actor started again) has no rate. */
class Rates {
  #seen = [];

  note(view) {
    const last = this.#seen.at(-1);
    if (last && view.elapsed_ms <= last.t) this.#seen = [];
    const done = new Map(view.actors.map((a) => [a.name, a.done]));
    this.#seen.push({ t: view.elapsed_ms, rows: view.totals.rows, bytes: view.totals.bytes, done });
    while (this.#seen.length > 2 && this.#seen[1].t < view.elapsed_ms - WINDOW_MS) this.#seen.shift();
  }

  /** A second, of what `read` finds in a note; null if that cannot be told yet. */
  of(read) {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    const grown = read(last) - read(first);
    return last.t > first.t && grown >= 0 ? (grown * 1000) / (last.t - first.t) : null;
  }
}

// ---------------------------------------------------------------- elements

const $ = (id) => document.getElementById(id);

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return element;
}
const el = (tag, attributes = {}, ...children) => filled(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) =>
  filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

/** Sets a text only if it is another one: what stays the same is neither painted nor announced again. */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Makes `parent` have one child for each item, in order; the children that are there already are kept. */
function sync(parent, items, key, make, update) {
  parent.kept ??= new Map();
  const kept = new Map();
  let place = parent.firstElementChild;
  for (const item of items) {
    const id = key(item);
    const child = kept.get(id) ?? parent.kept.get(id) ?? make(item);
    kept.set(id, child);
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const [id, child] of parent.kept) if (kept.get(id) !== child) child.remove();
  parent.kept = kept;
}

function meter(label, part, tick = null) {
  const bar = el('div', { class: 'meter', role: 'meter', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(part * 100) },
    el('i', { style: `width:${percent(part)}` }));
  if (tick !== null) bar.append(el('b', { style: `left:${percent(tick)}`, title: 'the most so far' }));
  return bar;
}

