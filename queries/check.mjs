// Checks KQL with Microsoft's own language service. Reads {"schema": {"database", "tables"}, "queries": [TEXT]}
// from standard input, writes [{"errors": [{"line", "column", "message"}], "columns": {NAME: TYPE} | null}].
import { readFileSync } from 'fs';
import { createRequire } from 'module';
const require = createRequire(process.env.GLEANER_KUSTO_NODE.replace(/\/*$/, '/'));
require('@kusto/language-service-next/bridge.js');
require('@kusto/language-service-next/Kusto.Language.Bridge.js');
const language = globalThis.Kusto.Language;
const list = (items) => Array.from({ length: System.Array.getCount(items) }, (_, at) => System.Array.getItem(items, at));
const { schema, queries } = JSON.parse(readFileSync(0, 'utf8'));
const tables = Object.entries(schema.tables).map(([name, columns]) => new language.Symbols.TableSymbol.$ctor7(name, columns, null));
const database = new language.Symbols.DatabaseSymbol.ctor(schema.database, tables);
const cluster = new language.Symbols.ClusterSymbol.ctor('cluster', [database]);
const globals = language.GlobalState.Default.WithCluster(cluster).WithDatabase(database);
const check = (text) => {
  const code = language.KustoCode.ParseAndAnalyze(text, globals);
  const place = (start) => {
    const before = text.slice(0, start).split('\n');
    return { line: before.length, column: before.at(-1).length + 1 };
  };
  const errors = list(code.GetDiagnostics())
    .filter((found) => found.Severity === 'Error')
    .map((found) => ({ ...place(found.Start), message: `${found.Code} ${found.Message}` }));
  const columns = code.ResultType?.Columns;
  return { errors, columns: columns ? Object.fromEntries(list(columns).map((column) => [column.Name, column.Type.Name])) : null };
};
process.stdout.write(JSON.stringify(queries.map(check)));
