import { useEffect, useState } from "react";

import { Home } from "./Home";
import { Watch } from "./Watch";

/** Two addresses: `/` and `/watch/{stream_id}`. */
export function App() {
  const [path, setPath] = useState(location.pathname);
  useEffect(() => {
    const moved = () => setPath(location.pathname);
    addEventListener("popstate", moved);
    return () => removeEventListener("popstate", moved);
  }, []);
  const go = (to: string, replace = false) => {
    history[replace ? "replaceState" : "pushState"](null, "", to);
    setPath(to);
  };
  const id = /^\/watch\/([^/]+)\/?$/.exec(path)?.[1];
  return id === undefined ? <Home go={go} /> : <Watch key={id} id={id} go={go} />;
}

export type Go = (to: string, replace?: boolean) => void;
