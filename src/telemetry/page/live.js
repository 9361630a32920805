// ---------------------------------------------------------------- the two uses

const rates = new Rates();

function draw(raw, isReport) {
  const view = complete(raw);
  const live = !isReport && !FINAL.includes(view.state);
  rates.note(view);
  drawHeader(view, isReport);
  drawFigures(view, live);
  drawPipeline(view, live);
  drawQueues(view);
  drawJobs(view);
  drawStrata(view);
  drawChunks(view);
  drawEvents(view);
  drawThroughput(view);
  const main = $('main');
  main.dataset.views = Number(main.dataset.views) + 1;
  return view;
}

function report(raw) {
  for (const section of document.querySelectorAll('.report')) section.hidden = false;
  connection('report', 'a report: nothing here changes');
  const view = draw(raw, true);
  drawLengths(view);
  drawTally($('invalid'), view.invalid);
  drawTally($('warnings'), view.warnings);
  drawTrust(view);
  drawTree(view);
  drawProvenance(view);
}

function connection(kind, text) {
  $('connection').dataset.connection = kind;
  say($('connection'), text);
}

/** Listens until the run's state is final. A browser tries again by itself unless the server answered with an error. */
function listen() {
  const source = new EventSource('events');
  let latest = null;
  const drawLatest = () => {
    draw(latest, false);
    latest = null;
  };
  source.onopen = () => connection('open', 'live');
  source.onmessage = ({ data }) => {
    let view;
    try {
      view = JSON.parse(data);
    } catch {
      connection('lost', 'a view came damaged, waiting for the next');
      return;
    }
    const over = FINAL.includes(view?.state);
    if (over) source.close();
    connection(over ? 'closed' : 'open', over ? 'the run is over' : 'live');
    // Of views that come faster than they are drawn, only the latest is.
    if (latest === null) setTimeout(drawLatest);
    latest = view ?? {};
  };
  source.onerror = () => {
    connection('lost', `connection lost at ${new Date().toLocaleTimeString()}, trying again`);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

listenToChunks();
const embedded = JSON.parse($('view').textContent);
if (embedded === null) listen();
else report(embedded);
