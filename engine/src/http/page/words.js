// Numbers as people read them.

/** A whole number with commas; a dash where there is none. */
export function count(n) {
  return n === null || n === undefined ? "–" : Math.round(n).toLocaleString("en-US");
}

/** A span of time, ns, in its largest unit. */
export function duration(ns) {
  if (ns === null || ns === undefined) return "–";
  const units = [["ns", 1], ["µs", 1e3], ["ms", 1e6], ["s", 1e9], ["min", 6e10], ["h", 3.6e12], ["d", 8.64e13]];
  const [name, size] = units.findLast(([, size]) => Math.abs(ns) >= size) ?? units[0];
  const value = ns / size;
  return `${Math.abs(value) < 10 && size > 1 ? value.toFixed(1) : Math.round(value)} ${name}`;
}
