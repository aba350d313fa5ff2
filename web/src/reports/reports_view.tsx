import { place } from "../lib/place";
import { useStore } from "../lib/store";
import { ReportView } from "./report_view";
import { RunsView } from "./runs_view";

export function ReportsView() {
  const { id } = useStore(place);
  return <div class="page">{id ? <ReportView key={id} id={id} /> : <RunsView />}</div>;
}
