import { useEffect, useState, type ReactNode } from "react";

import type { Go } from "./App";

const KEPT = "ovation.theme";

/** The bar on top: the name, what the page adds, and dark or light. */
export function Header({ go, children }: { go: Go; children?: ReactNode }) {
  const [theme, setTheme] = useState(() => localStorage.getItem(KEPT) ?? "");
  useEffect(() => {
    document.documentElement.dataset["theme"] = theme;
    localStorage.setItem(KEPT, theme);
  }, [theme]);
  const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return (
    <header className="bar">
      <a
        className="brand"
        href="/?all"
        onClick={(event) => {
          event.preventDefault();
          go("/?all");
        }}
      >
        <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="9" fill="var(--accent)" />
          <path d="M11 9v14l12-7z" fill="#fff" />
        </svg>
        Ovation
      </a>
      <div className="bar-rest">{children}</div>
      <button className="icon" aria-label={dark ? "Use the light theme" : "Use the dark theme"} onClick={() => setTheme(dark ? "light" : "dark")}>
        {dark ? "☀" : "☾"}
      </button>
    </header>
  );
}
