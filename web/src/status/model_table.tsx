import { useWords } from "../i18n";
import { models } from "../lib/api";
import { bytes, parameters } from "../lib/format";
import { useStore } from "../lib/store";
import { total, type Metrics } from "./metrics";

export function ModelTable({ metrics }: { metrics: Metrics }) {
  const words = useWords();
  const list = useStore(models);
  return (
    <div class="card scroll">
      <table class="facts">
        <thead>
          <tr>
            <th scope="col">{words.model}</th>
            <th scope="col">{words.family}</th>
            <th scope="col">{words.parameters}</th>
            <th scope="col">{words.weights}</th>
            <th scope="col">{words.context}</th>
            <th scope="col">{words.memory}</th>
            <th scope="col">{words.answersGiven}</th>
          </tr>
        </thead>
        <tbody>
          {list.map((model) => (
            <tr>
              <th scope="row">{model.id}</th>
              {model.loaded ? (
                <>
                  <td>{model.family}</td>
                  <td>{model.parameters && parameters(model.parameters)}</td>
                  <td>{model.weight_type}</td>
                  <td>{model.context_length}</td>
                  <td>{model.memory_bytes && bytes(model.memory_bytes)}</td>
                </>
              ) : (
                <td colSpan={5} class="hint">
                  {words.notLoaded}
                </td>
              )}
              <td>{total(metrics, "tandem_answers_total", model.id)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
