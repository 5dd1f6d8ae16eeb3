import { defineConfig } from "vite";

export default defineConfig({
  build: { target: "es2022", sourcemap: false },
  // `npm run dev` beside a running `ovation up`.
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/hls": "http://127.0.0.1:8080" } },
});
