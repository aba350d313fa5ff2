"use strict";
// The page works without this: it adds the language switch, the filter, and printing in full.
(function () {
  const root = document.documentElement;
  const items = Array.from(document.querySelectorAll("details.item"));
  const form = document.getElementById("filter");
  const shown = document.getElementById("shown");

  function setLanguage(language) {
    root.lang = language;
    root.classList.toggle("is-zh", language === "zh");
    for (const button of document.querySelectorAll("[data-language]"))
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    for (const option of document.querySelectorAll("option[data-zh]"))
      option.textContent = language === "zh" ? option.dataset.zh : option.dataset.en;
  }

  function filter() {
    const wanted = new FormData(form);
    const text = wanted.get("text").trim().toLowerCase();
    let count = 0;
    for (const item of items) {
      const fits = ["dimension", "language", "relation"].every(
        (key) => !wanted.get(key) || item.dataset[key] === wanted.get(key));
      item.hidden = !fits || (text !== "" && !item.textContent.toLowerCase().includes(text));
      count += item.hidden ? 0 : 1;
    }
    shown.textContent = count + " / " + items.length;
  }

  function openAll(open) {
    for (const item of items) if (!item.hidden) item.open = open;
  }

  for (const button of document.querySelectorAll("[data-language]"))
    button.addEventListener("click", () => setLanguage(button.dataset.language));
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  document.getElementById("open-all").addEventListener("click", () => openAll(true));
  document.getElementById("close-all").addEventListener("click", () => openAll(false));
  window.addEventListener("beforeprint", () => openAll(true));
  root.classList.add("has-script");
  const asked = location.hash === "#zh" ? "zh" : location.hash === "#en" ? "en" : navigator.language;
  setLanguage(asked.startsWith("zh") ? "zh" : "en");
  filter();
})();
