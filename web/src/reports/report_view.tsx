import { fill, useWords } from "../i18n";
import { fileName, saveFile } from "../lib/files";
import { seconds, when } from "../lib/format";
import { addressOf } from "../lib/place";
import { apiKey, language } from "../lib/preferences";
import { useStore } from "../lib/store";
import { FailureNote } from "../parts/failure_note";
import { Icon } from "../parts/icon";
import { useFetched } from "../parts/use_fetched";
import { FactsTable } from "./facts_table";
import { ItemList } from "./item_list";
import { fetchReport, fetchReportPage, reportAddress, type Report } from "./runs";
import { Scores } from "./scores";

// The whole report is a page of its own. Where the server wants a key, which a link cannot bring,
// it is saved instead.
function WholeReport({ id, report }: { id: string; report: Report }) {
  const words = useWords();
  const key = useStore(apiKey);
  const save = async () =>
    saveFile(
      `${fileName(`${report.models.a.name} ${report.models.b.name}`)}.html`,
      "text/html",
      await fetchReportPage(id),
    );
  return key ? (
    <button type="button" onClick={save}>
      <Icon name="download" />
      {words.saveReport}
    </button>
  ) : (
    <a class="button" href={reportAddress(id)} target="_blank" rel="noopener">
      {words.wholeReport}
    </a>
  );
}

function AdviceList({ report }: { report: Report }) {
  const words = useWords();
  const isChinese = useStore(language) === "zh";
  const choice = (of: string) =>
    ({
      a: <b class="name-a">{report.models.a.name}</b>,
      b: <b class="name-b">{report.models.b.name}</b>,
      no_significant_difference: <span>{words.noDifference}</span>,
      neither: <span>{words.neither}</span>,
    })[of] ?? <span>{words.notMeasured}</span>;
  return (
    <section>
      <h2>{words.advice}</h2>
      <ul class="card advice">
        {report.advice.map((entry) => (
          <li>
            <h3>{isChinese ? entry.scenario_zh : entry.scenario}</h3>
            {choice(entry.choice)}
            <p class="hint">{isChinese ? entry.why_zh : entry.why}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Opened({ id, report }: { id: string; report: Report }) {
  const words = useWords();
  const spoken = useStore(language);
  const { a, b } = report.models;
  const facts = [
    report.suite.name,
    fill(words.items, { n: report.suite.items }),
    when(report.started, spoken),
    seconds(report.seconds),
    report.environment.cpu,
    report.partial && words.partial,
  ].filter(Boolean);
  const notices = [a.failure, b.failure, ...report.notices].filter(Boolean);
  return (
    <>
      <div class="row spread">
        <h1>
          <span class="name-a">{a.name}</span> <span class="hint">vs.</span>{" "}
          <span class="name-b">{b.name}</span>
        </h1>
        <WholeReport id={id} report={report} />
      </div>
      <p class="hint">{facts.join(" · ")}</p>
      {notices.map((text) => (
        <p class="note">{text}</p>
      ))}
      <section>
        <h2>{words.scores}</h2>
        <Scores report={report} />
      </section>
      <AdviceList report={report} />
      <section>
        <h2>{words.speedAndSize}</h2>
        <FactsTable report={report} />
      </section>
      <ItemList report={report} />
    </>
  );
}

export function ReportView({ id }: { id: string }) {
  const words = useWords();
  const { value, failure, again } = useFetched(() => fetchReport(id), id);
  return (
    <article class="report">
      <a class="back" href={addressOf("reports")}>
        <Icon name="left" />
        {words.reports}
      </a>
      {failure && <FailureNote failure={failure} onRetry={again} />}
      {!value && !failure && <p class="waiting">{words.loading}</p>}
      {value && <Opened id={id} report={value} />}
    </article>
  );
}
