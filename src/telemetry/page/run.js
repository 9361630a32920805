// ---------------------------------------------------------------- header and figures

function drawHeader(view, isReport) {
  const final = FINAL.includes(view.state);
  const name = typeof view.run.dataset === 'string' ? view.run.dataset : 'dataset';
  const part = progress(view);
  document.title = `${final ? view.state : `${Math.floor(part * 100)} % ${view.phase}`} · ${name} · gleaner`;
  say($('version'), view.version + (isReport ? ' · report' : ''));
  say($('dataset'), name);
  say($('state'), view.state);
  $('state').dataset.state = view.state;
  say($('elapsed'), duration(view.elapsed_ms));
  say($('eta'), final ? '–' : view.eta_ms === null ? 'unknown' : `about ${duration(view.eta_ms)}`);
  $('error').hidden = view.error === null;
  say($('error'), view.error ?? '');
  sync($('phases'), PHASES, (p) => p, (p) => el('li', { 'data-phase': p }, p), (item, p) => {
    if (p === view.phase) item.setAttribute('aria-current', 'step');
    else item.removeAttribute('aria-current');
  });
}

/** How far the present half of the run is: reading, or writing. */
function progress({ totals, strata, phase }) {
  if (PHASES.indexOf(phase) >= PHASES.indexOf('writing')) return share(sum(strata.map((s) => s.written)), sum(strata.map((s) => s.target)));
  return totals.bytes_total > 0 ? share(totals.input_bytes, totals.bytes_total) : share(totals.chunks_done, totals.chunks_total);
}

function drawFigures(view, live) {
  const { totals, in_flight: flight, strata } = view;
  const [written, target] = [sum(strata.map((s) => s.written)), sum(strata.map((s) => s.target))];
  const average = (n) => (view.elapsed_ms > 0 ? (n * 1000) / view.elapsed_ms : null);
  const byteRate = live ? rates.of((n) => n.bytes) : average(totals.bytes);
  const rowRate = live ? rates.of((n) => n.rows) : average(totals.rows);
  const figures = [
    { id: 'chunks', label: 'Chunks done', value: count(totals.chunks_done), of: count(totals.chunks_total), raw: totals.chunks_done,
      part: share(totals.chunks_done, totals.chunks_total), note: `${count(totals.chunks_replayed)} replayed, ${count(totals.chunks_failed)} failed` },
    { id: 'read', label: 'Read', value: bytes(totals.bytes), of: totals.bytes_total > 0 ? bytes(totals.bytes_total) : null, raw: totals.bytes,
      part: totals.bytes_total > 0 ? share(totals.input_bytes, totals.bytes_total) : null, note: plural(totals.rows, 'row') },
    { id: 'rate', label: live ? 'Pace of reading' : 'Pace of reading, average', value: byteRate === null ? '–' : bytes(byteRate), unit: byteRate === null ? '' : '/s', raw: byteRate ?? '',
      part: null, note: rowRate === null ? 'not known' : `${count(rowRate)} rows/s` },
    { id: 'in-flight', label: 'Bytes in flight', value: bytes(flight.now), of: bytes(flight.budget), raw: flight.now,
      part: share(flight.now, flight.budget), tick: share(flight.peak, flight.budget), note: `peak ${bytes(flight.peak)}` },
    { id: 'written', label: 'Records written', value: count(written), of: count(target), raw: written,
      part: share(written, target), note: `${bytes(totals.bytes_written)} written, ${bytes(totals.bytes_kept)} kept` },
  ];
  sync($('figures'), figures, (f) => f.id, (f) => el('div', { class: 'figure', 'data-figure': f.id }), (box, f) => {
    box.dataset.value = f.raw;
    const value = el('p', { class: 'value' }, f.value);
    if (f.unit) value.append(el('small', {}, f.unit));
    if (f.of) value.append(' ', el('small', {}, `of ${f.of}`));
    box.replaceChildren(el('p', { class: 'muted' }, f.label), value);
    if (f.part !== null) box.append(meter(f.label, f.part, f.tick ?? null));
    box.append(el('p', { class: 'muted' }, f.note));
  });
}

// ---------------------------------------------------------------- pipeline

/** The stages with their ends, laid out once; actors come and go in their cells. */
function buildPipeline(flow) {
  const stage = (name, title, ...content) => el('section', { class: 'stage', 'data-stage': name, 'aria-label': title }, el('h3', {}, title), ...content);
  const end = (id) => el('div', { class: 'end' }, el('b', { id, class: 'clamp' }), el('small', { id: `${id}-note` }));
  const arrow = (id) => svg('marker', { id, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: 'userSpaceOnUse', orient: 'auto-start-reverse' },
    svg('path', { d: 'M0 0 L8 4 L0 8 Z' }));
  flow.append(
    svg('svg', { class: 'wires', 'aria-hidden': 'true' }, svg('defs', {}, arrow('arrow'), arrow('arrow-busy')), svg('g')),
    el('ul', { id: 'supervisor', class: 'cells', 'aria-label': 'Supervisor' }),
    stage('source', 'Source', end('source')),
    ...Object.entries(ROLES).map(([role, title]) => stage(role, title, el('ul', { class: 'cells' }))),
    stage('sink', 'Sink', end('sink')),
    el('small', { id: 'spool' }, 'payloads: sealed chunks on disk, read again by rank'),
  );
  new ResizeObserver(drawWires).observe(flow);
}

function drawPipeline(view, live) {
  const flow = $('pipeline');
  if (!flow.firstChild) buildPipeline(flow);
  const { source } = view.run;
  const kind = typeof source === 'string' ? source : source?.kind;
  say($('source'), typeof kind === 'string' ? kind : 'source');
  say($('source-note'), `${bytes(view.totals.bytes)} read`);
  const place = typeof view.run.location === 'string' ? view.run.location : 'sink';
  say($('sink'), place || 'sink');
  $('sink').title = place;
  say($('sink-note'), `${bytes(view.totals.bytes_written)} written`);

  // Who has a role that this page does not know stands beside the supervisor.
  drawActors($('supervisor'), view.actors.filter((a) => !Object.hasOwn(ROLES, a.role)), live);
  for (const [role, title] of Object.entries(ROLES)) {
    const stage = flow.querySelector(`[data-stage=${role}]`);
    const actors = view.actors.filter((a) => a.role === role);
    const busy = actors.filter((a) => a.state === 'busy').length;
    stage.querySelector('h3').replaceChildren(title, el('small', {}, actors.length === 0 ? 'none' : `×${actors.length}, ${busy} busy`));
    drawActors(stage.querySelector('.cells'), actors, live);
  }
  drawWires();
}

function drawActors(list, actors, live) {
  sync(list, actors, (a) => a.name, makeActor, (cell, a) => {
    const perSecond = live ? rates.of((n) => n.done.get(a.name)) : null;
    const quiet = a.state === 'busy' && a.silent_ms > QUIET_MS ? `quiet ${duration(a.silent_ms)}` : null;
    const doing = a.doing ?? words(a.state);
    cell.dataset.state = a.state;
    say(cell.querySelector('.restarts'), a.restarts > 0 ? `↻${count(a.restarts)}` : '');
    say(cell.querySelector('.done'), count(a.done));
    say(cell.querySelector('.doing'), doing);
    const pace = cell.querySelector('.rate');
    say(pace, quiet ?? (perSecond >= 0.05 ? rate(perSecond) : ''));
    pace.classList.toggle('quiet', quiet !== null);
    const sentence = [`${a.name}: ${words(a.state)}`, a.doing, `${count(a.done)} done`, perSecond && rate(perSecond), `${plural(a.restarts, 'restart')}`, quiet].filter(Boolean).join(', ');
    if (cell.title !== sentence) {
      cell.title = sentence;
      cell.setAttribute('aria-label', sentence);
    }
  });
}

function makeActor(a) {
  const short = a.name.replace(/^sampler(?: of |[-: ])(?=.*\/)/, '');
  return el('li', { class: 'actor', 'data-actor': a.name },
    el('span', { class: 'mark' }),
    el('p', {}, el('b', { class: 'mono cut' }, short), el('span', { class: 'restarts' }), el('span', { class: 'done' })),
    el('p', {}, el('span', { class: 'doing cut' }), el('span', { class: 'rate' })));
}

/** Draws arrows where the stages lie now: from cell to cell beside each other, from stage to stage below each other. */
function drawWires() {
  const flow = $('pipeline');
  const origin = flow.getBoundingClientRect();
  const box = (element) => {
    const r = element.getBoundingClientRect();
    return { left: r.left - origin.left, right: r.right - origin.left, top: r.top - origin.top, bottom: r.bottom - origin.top,
      x: (r.left + r.right) / 2 - origin.left, y: (r.top + r.bottom) / 2 - origin.top, state: element.dataset.state ?? '' };
  };
  const stages = [...flow.querySelectorAll('.stage')];
  const boxes = stages.map(box);
  const cells = stages.map((stage) => [...stage.querySelectorAll('.actor, .end, .cells:empty')].map(box));
  const paths = [];
  const wire = (d, { state = '', arrow = false, aside = false } = {}) => paths.push({ d, state, arrow, aside });
  const stacked = boxes[1].top >= boxes[0].bottom;

  for (let i = 0; i + 1 < stages.length; i++) {
    if (stacked) {
      wire(`M${boxes[i].x} ${boxes[i].bottom + 4} V${boxes[i + 1].top - 2}`, { arrow: true });
      continue;
    }
    // Every cell has its own way into a bus between the stages, and from it; corners are rounded.
    const [from, to] = [cells[i], cells[i + 1]];
    const bus = (boxes[i].right + boxes[i + 1].left) / 2;
    const middle = (boxes[i].top + boxes[i].bottom) / 2 + 13;
    const corner = (y) => Math.min(7, Math.abs(y - middle)) * Math.sign(middle - y);
    for (const { right, y, state } of from) wire(`M${right} ${y} H${bus - 7} Q${bus} ${y} ${bus} ${y + corner(y)} V${middle}`, { state });
    for (const { left, y, state } of to) wire(`M${bus} ${middle} V${y + corner(y)} Q${bus} ${y} ${bus + 7} ${y} H${left - 1}`, { state, arrow: true });
  }
  if (!stacked) {
    const spool = box($('spool'));
    const supervisor = box($('supervisor'));
    const lowest = (i) => Math.max(...cells[i].map((c) => c.bottom));
    wire(`M${boxes[1].x} ${lowest(1)} V${spool.top - 1}`, { arrow: true, aside: true });
    wire(`M${boxes[4].x} ${spool.top} V${lowest(4) + 2}`, { arrow: true, aside: true });
    for (const { x, top } of boxes.slice(1, 6)) wire(`M${x} ${supervisor.bottom} V${top - 1}`, { arrow: true, aside: true });
  }
  paths.sort((a, b) => (a.state === 'busy') - (b.state === 'busy'));
  const key = JSON.stringify(paths);
  const group = flow.querySelector('.wires g');
  if (group.key === key) return;
  group.key = key;
  group.replaceChildren(...paths.map((p) => svg('path', { d: p.d, 'data-state': p.state, class: p.aside ? 'aside' : '', ...(p.arrow ? { 'marker-end': `url(#arrow${p.state === 'busy' ? '-busy' : ''})` } : {}) })));
}

function drawQueues(view) {
  sync($('queues'), view.queues, (q) => q.name, (q) => el('li', { 'data-queue': q.name }, q.name, el('b')),
    (item, q) => say(item.lastChild, count(q.now)));
}

// ---------------------------------------------------------------- strata

const STRATUM_NUMBERS = ['written', 'validated', 'candidates', 'population', 'target'];

/** How far the jobs of an engine are: Spark's, Ray's. */
function drawJobs({ jobs }) {
  $('jobs-panel').hidden = jobs.length === 0;
  const named = jobs.map((job, number) => ({ ...job, number }));
  sync($('jobs'), named, (j) => j.number, (j) => el('div', { 'data-job': j.name },
    el('dt', {}, j.name), el('dd', { class: 'fill' }), el('dd')), (item, j) => {
    const all = Math.max(j.pieces_total, j.pieces) + j.chunks_total;
    item.children[1].replaceChildren(meter(`${j.name}: done`, j.done ? 1 : share(j.pieces + j.chunks + j.chunks_kept, all)));
    const pieces = j.pieces_total > 0 ? `${count(j.pieces)} of ${count(j.pieces_total)}` : count(j.pieces);
    const chunks = j.chunks_total > 0 ? `, ${count(j.chunks)} of ${count(j.chunks_total)} chunks grouped${j.chunks_kept > 0 ? `, ${count(j.chunks_kept)} kept from before` : ''}` : '';
    say(item.children[2], `${pieces} pieces read, ${plural(j.rows, 'row')}${chunks}${j.done ? ' · ✓ done' : ''}`);
  });
}

function drawStrata(view) {
  const table = $('strata');
  if (!table.firstChild) {
    const head = (text, number) => el('span', { role: 'columnheader', class: number ? 'number' : '' }, text);
    table.append(el('div', { class: 'row head', role: 'row' }, head('stratum'), head('filled'), ...STRATUM_NUMBERS.map((n) => head(n, true))));
    table.append(el('div', { role: 'rowgroup', style: 'display:contents' }));
  }
  sync(table.lastChild, view.strata, (s) => s.name, makeStratum, (row, s) => {
    const scale = Math.max(s.target, s.candidates, s.written, 1);
    const [kind, note] = stratumNote(s, view);
    row.dataset.note = kind;
    say(row.querySelector('.note'), note);
    for (const name of STRATUM_NUMBERS) say(row.querySelector(`[data-number=${name}]`), count(s[name]));
    for (const name of ['candidates', 'validated', 'written']) row.querySelector(`.${name}`).style.width = percent(share(s[name], scale));
    row.querySelector('.fill b').style.left = `calc(${percent(share(s.target, scale))} - 2px)`;
  });
}

function makeStratum(s) {
  return el('div', { class: 'row', role: 'row', 'data-stratum': s.name },
    el('span', { class: 'name', role: 'rowheader' }, el('b', { class: 'mono clamp', title: s.name }, s.name), el('small', { class: 'note' })),
    el('span', { class: 'fill', role: 'cell' }, ...['candidates', 'validated', 'written'].map((name) => el('i', { class: name })), el('b')),
    ...STRATUM_NUMBERS.map((name) => el('span', { class: 'number', role: 'cell', 'data-number': name, 'data-label': name })));
}

function stratumNote(s, view) {
  if (s.written >= s.target) return ['full', s.target === 0 ? 'none wanted' : '✓ full'];
  if (view.state === 'published') return ['short', `✕ ${count(s.target - s.written)} short`];
  const counted = PHASES.indexOf(view.phase) > PHASES.indexOf('grouping');
  if (counted && s.population < s.target) return ['short', `✕ ${count(s.target - s.population)} too few`];
  return ['open', `${Math.floor(share(s.written, s.target) * 100)} %`];
}

// ---------------------------------------------------------------- chunks

/** Chunks as trees: `[{ chunk, halves: [...] }]`. Every chunk is in them once, whatever the view says. */
function families(chunks) {
  const named = new Map(chunks.map((c) => [c.name, c]));
  const halves = new Set(chunks.flatMap((c) => c.into));
  const seen = new Set();
  const grow = (chunk) => {
    seen.add(chunk.name);
    return { chunk, halves: chunk.into.filter((name) => named.has(name) && !seen.has(name)).map((name) => grow(named.get(name))) };
  };
  const roots = chunks.filter((c) => !halves.has(c.name)).map(grow);
  return roots.concat(chunks.filter((c) => !seen.has(c.name)).flatMap((c) => (seen.has(c.name) ? [] : [grow(c)])));
}

function chunkSentence(c) {
  const parts = [CHUNK_WORDS[c.state] ?? c.state];
  if (c.into.length > 0) parts[0] += ` into ${c.into.join(' and ')}`;
  if (c.attempts > 0) parts.push(plural(c.attempts, 'attempt'));
  if (c.rows !== null) parts.push(plural(c.rows, 'row'));
  if (c.bytes !== null) parts.push(bytes(c.bytes));
  return `${c.name}: ${parts.join(', ')}`;
}

const chunkCell = (state, attributes = {}) => el('span', { class: 'chunk', 'data-state': state, ...attributes }, CHUNKS[state] ?? '?');

function drawChunks(view) {
  const map = $('chunk-map');
  const shape = JSON.stringify(view.chunks.map((c) => [c.name, c.into]));
  if (map.shape !== shape) {
    map.shape = shape;
    map.cells ??= new Map();
    const place = ({ chunk, halves }) => {
      if (!map.cells.has(chunk.name)) map.cells.set(chunk.name, el('span', { class: 'chunk', 'data-chunk': chunk.name, role: 'img', tabindex: -1 }));
      const cell = map.cells.get(chunk.name);
      return halves.length === 0 ? cell : el('span', { class: 'family' }, cell, ...halves.map(place));
    };
    const focused = document.activeElement?.dataset?.chunk;
    map.replaceChildren(...families(view.chunks).map(place));
    map.classList.toggle('roomy', view.chunks.length <= 150);
    map.classList.toggle('dense', view.chunks.length > 400);
    const first = map.querySelector('.chunk');
    if (first && !map.querySelector('[tabindex="0"]')) first.tabIndex = 0;
    if (focused !== undefined) map.cells.get(focused)?.focus({ preventScroll: true });
  }
  for (const c of view.chunks) {
    const cell = map.cells.get(c.name);
    const known = cell.drawn;
    if (known && ['state', 'attempts', 'rows', 'bytes'].every((key) => known[key] === c[key])) continue;
    cell.drawn = c;
    const sentence = chunkSentence(c);
    cell.title = sentence;
    cell.setAttribute('aria-label', sentence);
    cell.dataset.state = c.state;
    cell.replaceChildren(CHUNKS[c.state] ?? '?');
    if (c.attempts > 1) cell.append(el('sup', {}, count(c.attempts)));
  }
  const counted = Object.keys(CHUNKS).map((state) => ({ state, n: view.chunks.filter((c) => c.state === state).length }));
  const leaves = view.chunks.filter((c) => c.state !== 'split').length;
  say($('chunks-summary'), `${plural(leaves, 'chunk')}${leaves < view.chunks.length ? ` and ${count(view.chunks.length - leaves)} that were split` : ''}`);
  sync($('chunk-legend'), counted, (c) => c.state,
    ({ state }) => el('button', { type: 'button', 'data-legend': state, 'aria-pressed': 'false', title: `show only: ${CHUNK_WORDS[state] ?? state}` }, chunkCell(state, { 'aria-hidden': 'true' }), `${state} `, el('b')),
    (button, { n }) => say(button.lastChild, count(n)));
  if (map.dataset.only) showOnly(map.dataset.only);
}

function showOnly(state) {
  const map = $('chunk-map');
  if (state === null) delete map.dataset.only;
  else map.dataset.only = state;
  for (const cell of map.querySelectorAll('.chunk')) cell.classList.toggle('shown', cell.dataset.state === state);
  for (const button of $('chunk-legend').children) button.setAttribute('aria-pressed', String(button.dataset.legend === state));
}

function listenToChunks() {
  const map = $('chunk-map');
  const tell = ({ target }) => {
    const cell = target.closest('.chunk');
    if (cell) say($('chunk-detail'), cell.title);
  };
  for (const kind of ['pointerover', 'click', 'focusin']) map.addEventListener(kind, tell);
  map.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const cells = [...map.querySelectorAll('.chunk')];
    const next = cells[cells.indexOf(event.target) + step];
    if (!step || !next) return;
    event.preventDefault();
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  $('chunk-legend').addEventListener('click', ({ target }) => {
    const state = target.closest('button')?.dataset.legend;
    if (state) showOnly(state === map.dataset.only ? null : state);
  });
}

