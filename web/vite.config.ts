import { defineConfig } from "vite";

// Everything that the page needs is a file of its own: the server's Content-Security-Policy allows
// neither inline scripts nor data: addresses.
export default defineConfig({
  base: "./",
  esbuild: { jsx: "automatic", jsxImportSource: "preact" },
  build: {
    target: "es2020",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
});
