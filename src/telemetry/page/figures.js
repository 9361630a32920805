// ---------------------------------------------------------------- events

function drawEvents(view) {
  sync($('events'), view.events, ([kind]) => kind,
    ([kind]) => el('div', { 'data-event': kind, title: EVENTS[kind] ?? '' }, el('dt', {}, words(kind)), el('dd')),
    (item, [, n]) => {
      item.dataset.none = n === 0;
      say(item.lastChild, count(n));
    });
  const latest = [...view.recent].reverse();
  sync($('recent'), latest, (e) => e.number, (e) => el('li', { 'data-number': e.number },
    el('time', {}, duration(e.at_ms)), el('span', { class: 'kind' }, words(e.kind)), el('span', { class: 'text' }, e.text)), () => {});
}

// ---------------------------------------------------------------- charts

/** One chart: `shapes` in a box of 100 by 100 that stretches, `ticks` as [place from 0 to 1, text]. */
function chart(title, note, top, ticks, shapes) {
  const plot = svg('svg', { viewBox: '0 0 100 100', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${title}. ${note}` }, ...shapes);
  return el('figure', { class: 'chart' },
    el('figcaption', {}, el('b', {}, title), el('span', { class: 'muted' }, note)),
    el('div', { class: 'y', 'aria-hidden': 'true' }, el('span', {}, top), el('span', {}, '0')), plot,
    el('div', { class: 'x', 'aria-hidden': 'true' }, ...ticks.map(([at, text]) =>
      el('span', { style: `left:${percent(at)}`, class: at === 0 ? 'first' : at === 1 ? 'last' : '' }, text))));
}

function table(caption, heads, rows) {
  return el('table', {}, el('caption', {}, caption),
    el('thead', {}, el('tr', {}, ...heads.map((h) => el('th', { scope: 'col' }, h)))),
    el('tbody', {}, ...rows.map(([first, ...rest]) => el('tr', {}, el('th', { scope: 'row' }, first), ...rest.map((cell) => el('td', {}, cell))))));
}

/** What a cumulative series grew a second in each of `n` equal pieces of its time. */
function pace(series, key, n) {
  const [start, end] = [series[0].t_ms, series.at(-1).t_ms];
  let i = 0;
  const at = (t) => {
    while (i + 2 < series.length && series[i + 1].t_ms < t) i++;
    const [a, b] = [series[i], series[i + 1]];
    const part = b.t_ms > a.t_ms ? Math.min(1, (t - a.t_ms) / (b.t_ms - a.t_ms)) : 1;
    return a[key] + (b[key] - a[key]) * part;
  };
  const sums = Array.from({ length: n + 1 }, (_, k) => at(start + ((end - start) * k) / n));
  return sums.slice(1).map((value, k) => Math.max(0, ((value - sums[k]) * 1000 * n) / (end - start)));
}

function drawThroughput({ series }) {
  const place = $('throughput');
  if (!place.firstChild) place.append(el('div', { class: 'charts' }), numbers());
  const [drawn, details] = place.children;
  const measured = series.length > 1 && series.at(-1).t_ms > series[0].t_ms;
  details.hidden = !measured;
  if (!measured) {
    drawn.replaceChildren(el('p', { class: 'muted' }, 'Nothing measured.'));
    return;
  }
  const n = Math.min(120, series.length - 1);
  const [start, end] = [series[0].t_ms, series.at(-1).t_ms];
  const kinds = [['bytes', 'Bytes read a second', (x) => `${bytes(x)}/s`], ['rows', 'Rows read a second', (x) => `${count(x)}/s`]];
  const ticks = [0, 0.5, 1].map((at) => [at, duration(start + (end - start) * at)]);
  const charts = kinds.map(([key, title, text]) => {
    const values = pace(series, key, n);
    const most = Math.max(...values, 1e-9);
    const average = ((series.at(-1)[key] - series[0][key]) * 1000) / (end - start);
    const points = values.map((v, k) => `${(((k + 0.5) * 100) / n).toFixed(2)} ${(100 - (v / most) * 100).toFixed(2)}`).join(' L');
    const figure = chart(title, `average ${text(average)}`, text(most), ticks, [
      svg('path', { class: 'area', d: `M${50 / n} 100 L${points} L${100 - 50 / n} 100 Z` }), svg('path', { class: 'line', d: `M${points}` })]);
    figure.dataset.series = key;
    return figure;
  });
  drawn.replaceChildren(...charts);
  const pieces = Math.min(24, n);
  const [byteRates, rowRates] = ['bytes', 'rows'].map((key) => pace(series, key, pieces));
  details.lastChild.replaceChildren(table('Throughput', ['from', 'bytes/s', 'rows/s', 'in flight'],
    byteRates.map((value, k) => {
      const from = start + ((end - start) * k) / pieces;
      return [duration(from), bytes(value), count(rowRates[k]), bytes(series.findLast((p) => p.t_ms <= from).in_flight)];
    })));
}

const numbers = (...tables) => el('details', {}, el('summary', {}, 'as numbers'), el('div', { class: 'tables' }, ...tables));

/** The edges of bins without gaps from `low` to `high`: exact values (grouped if there are many), or powers of two. */
function binEdges(low, high, doubling) {
  const found = [];
  if (doubling) {
    for (let edge = low; edge <= high; edge = edge < 1 ? 1 : edge * 2) found.push([edge, edge < 1 ? 1 : edge * 2]);
  } else {
    const width = Math.max(1, Math.ceil((high - low + 1) / 60));
    for (let edge = low; edge <= high; edge += width) found.push([edge, edge + width]);
  }
  return found;
}

const LENGTHS = {
  turns: { title: 'Turns', doubling: false, text: (from, to) => (to - from > 1 ? `${count(from)}–${count(to - 1)}` : count(from)), tick: count },
  bytes: { title: 'Bytes of a record', doubling: true, text: (from, to) => `${binary(from)} – ${binary(to)}`, tick: binary },
  tokens: { title: 'Tokens', doubling: true, text: (from, to) => `${count(from)}–${count(to - 1)}`, tick: count },
};

function drawHistogram(key, histogram, edges) {
  const { title, doubling, text, tick } = LENGTHS[key];
  const found = edges.map(([from, to]) => ({ label: text(from, to), edge: from, count: sum(histogram.filter(([x]) => x >= from && x < to).map(([, n]) => n)) }));
  const total = sum(found.map((b) => b.count));
  if (total === 0) return el('p', { class: 'muted', 'data-histogram': key }, `${title}: nothing.`);
  const most = Math.max(...found.map((b) => b.count));
  const slots = Math.max(found.length, 9);
  const width = 100 / slots;
  const shapes = found.map((b, i) => svg('rect', { class: 'bar', x: (i + 0.08) * width, width: width * 0.84, y: 100 - (b.count / most) * 100, height: (b.count / most) * 100 },
    svg('title', {}, `${b.label}: ${count(b.count)}`)));
  // A few labels, under the bar's middle, or for powers of two under its lower edge.
  const step = Math.ceil(slots / (doubling ? 5 : 10));
  const ticks = found.map((b, i) => [(i + (doubling ? 0 : 0.5)) / slots, tick(b.edge)]).filter((_, i) => i % step === 0);
  let passed = 0;
  const median = found.find((b) => (passed += b.count) * 2 >= total);
  const drawn = chart(title, `median ${median.label}`, count(most), ticks, shapes);
  drawn.dataset.histogram = key;
  drawn.numbers = table(title, ['', 'records', 'share'], found.filter((b) => b.count > 0).map((b) => [b.label, count(b.count), `${((b.count * 100) / total).toFixed(1)} %`]));
  return drawn;
}

/** All strata on the same axes, so that they can be compared. */
function drawLengths(view) {
  const edges = Object.fromEntries(Object.entries(LENGTHS).map(([key, { doubling }]) => {
    const values = view.strata.flatMap((s) => s[key].map(([x]) => x));
    return [key, values.length > 0 ? binEdges(Math.min(...values), Math.max(...values), doubling) : []];
  }));
  $('lengths').replaceChildren(...view.strata.map((s) => {
    if (Object.keys(LENGTHS).every((key) => s[key].length === 0)) {
      return el('div', { class: 'lengths', 'data-lengths': s.name }, el('h3', { class: 'mono' }, s.name, el('small', {}, 'nothing')));
    }
    const drawn = Object.keys(LENGTHS).map((key) => drawHistogram(key, s[key], edges[key]));
    const tables = drawn.map((d) => d.numbers).filter(Boolean);
    const box = el('div', { class: 'lengths', 'data-lengths': s.name }, el('h3', { class: 'mono' }, s.name), el('div', { class: 'three' }, ...drawn));
    if (tables.length > 0) box.append(numbers(...tables));
    return box;
  }));
}

function drawTally(place, tally) {
  const most = Math.max(...tally.map(([, n]) => n), 1);
  const sorted = [...tally].sort((a, b) => b[1] - a[1]);
  if (sorted.length === 0) place.replaceChildren(el('dt', {}, 'none'));
  else place.replaceChildren(...sorted.flatMap(([name, n]) => [el('dt', {}, name),
    el('dd', { class: 'fill', 'aria-hidden': 'true' }, el('i', { class: 'written', style: `width:${percent(n / most)}` })), el('dd', { 'data-tally': name }, count(n))]));
}

// ---------------------------------------------------------------- what may be trained on

/** What a published dataset says of secrets, users, groups, benchmarks, near-duplicates and exclusions, a line each. */
function trustLines({ privacy, groups, selection, decontamination, exclude, near_duplicates: similar, strata }) {
  const scanned = [privacy?.secrets, privacy?.personal].some((action) => action && action !== 'off');
  const lines = [['privacy', scanned ? `secrets: ${privacy.secrets}, personal data: ${privacy.personal}, rules of version ${privacy.rules_version}`
    : 'not scanned for secrets and personal data']];
  if (privacy) lines.push(['names of users', privacy.users ?? 'keep']);
  for (const [rule, n] of Object.entries(privacy?.found ?? {})) lines.push([rule, `${plural(n.times, 'time')} in ${plural(n.records, 'record')}`]);
  if (groups) lines.push([`split by ${selection.split_by}`, Object.entries(groups).map(([split, n]) => `${split}: ${plural(n, 'group')}`).join(', ')]);
  for (const one of decontamination?.benchmarks ?? []) {
    lines.push([`benchmark ${one.name}`, `${plural(one.contaminated, 'record')} left out that repeat one of ${plural(one.texts, 'text')}, ${count(one.short_texts)} too short to be looked for`]);
  }
  if (exclude) lines.push(['excluded', `${count(exclude.matched)} of ${count(exclude.listed)} ids and users in the list are in the input`]);
  if (similar) {
    lines.push(['near-duplicates', `${plural(sum(strata.map((s) => s.near_duplicates)), 'record')} left out`]);
    const { files, ...how } = similar;
    for (const [name, value] of Object.entries(how)) lines.push([`near-duplicates: ${words(name)}`, pretty(value)]);
  }
  return lines;
}

function drawTrust({ provenance }) {
  const lines = provenance === null ? [['privacy', 'nothing is published']] : trustLines(provenance);
  $('trust').replaceChildren(...lines.flatMap(([name, text]) => [el('dt', {}, name), el('dd', { 'data-trust': name }, text)]));
}

// ---------------------------------------------------------------- chunk tree and provenance

function drawTree(view) {
  const few = view.chunks.filter((c) => c.into.length > 0).length <= 40;
  const branch = ({ chunk, halves }) => {
    const known = new Set(halves.map((h) => h.chunk.name));
    const lost = chunk.into.filter((name) => !known.has(name));
    const leaf = el('span', { class: 'leaf' }, chunkCell(chunk.state, { 'aria-hidden': 'true' }), el('span', {}, chunkSentence(chunk)));
    if (lost.length > 0) leaf.append(el('small', {}, `not told of: ${lost.join(', ')}`));
    if (halves.length === 0) return el('li', { 'data-tree': chunk.name }, leaf);
    const folds = el('details', {}, el('summary', {}, leaf), el('ul', {}, ...halves.map(branch)));
    folds.open = few;
    return el('li', { 'data-tree': chunk.name }, folds);
  };
  const split = families(view.chunks).filter((f) => f.chunk.into.length > 0);
  $('tree').replaceChildren(...(split.length > 0 ? split.map(branch) : [el('li', { class: 'muted' }, 'No chunk was split.')]));
}

/** JSON for people: what fits on a line stays on one. */
function pretty(value, indent = '') {
  const flat = JSON.stringify(value);
  if (value === null || typeof value !== 'object' || flat.length + indent.length < 76) return flat;
  const deeper = `${indent}  `;
  const inner = Array.isArray(value) ? value.map((x) => deeper + pretty(x, deeper))
    : Object.entries(value).map(([name, x]) => `${deeper}${JSON.stringify(name)}: ${pretty(x, deeper)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${inner.join(',\n')}\n${indent}${close}`;
}

/** The plain values of an object as a list, its nested ones as JSON. */
function facts(object) {
  const plain = (x) => x === null || typeof x !== 'object';
  const list = el('dl', { class: 'facts' });
  for (const [name, value] of Object.entries(object)) {
    list.append(el('dt', {}, words(name)), el('dd', {}, plain(value) ? String(value ?? '–') : el('pre', { tabindex: 0 }, pretty(value))));
  }
  return list;
}

function drawProvenance(view) {
  const { source, selection, ...run } = view.run;
  const asObject = (x, name) => (x !== null && typeof x === 'object' ? x : { [name]: x ?? null });
  const part = (title, object) => el('div', {}, el('h3', {}, title), facts(object));
  const state = { state: view.state, phase: view.phase, elapsed: duration(view.elapsed_ms), 'gleaner version': view.version };
  $('provenance').replaceChildren(el('div', { class: 'columns' },
    part('Run', { ...run, ...state }), part('Source', asObject(source, 'source')), part('Selection', asObject(selection, 'selection'))));
  if (view.provenance !== null) $('provenance').append(part('metadata.json', asObject(view.provenance, 'value')));
}

