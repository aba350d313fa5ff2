"use strict";
document.getElementById("base").textContent = location.origin + "/v1";

function show(lines) {
  document.getElementById("models").replaceChildren(...lines.map((line) => {
    const item = document.createElement("li");
    item.textContent = line;
    return item;
  }));
}

function describe(model) {
  if (!model.loaded) return model.id + " (loaded when it is asked for)";
  const millions = (model.parameters / 1e6).toFixed(1);
  return `${model.id}: ${model.family}, ${millions} M parameters, ${model.weight_type}, ` +
    `${model.context_length} tokens of context`;
}

fetch("v1/models")
  .then(async (reply) => {
    const body = await reply.json();
    show(reply.ok ? body.data.map(describe) : [body.error.message]);
  })
  .catch((error) => show([String(error)]));
