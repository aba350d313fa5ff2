// Numbers as people read them.
const MIB = 1 << 20;

export function bytes(n: number): string {
  if (n >= 1024 * MIB) return `${(n / MIB / 1024).toFixed(1)} GiB`;
  return n >= MIB
    ? `${(n / MIB).toFixed(n < 10 * MIB ? 1 : 0)} MiB`
    : `${(n / 1024).toFixed(0)} KiB`;
}

export function seconds(n: number): string {
  if (n >= 60) return `${Math.floor(n / 60)} min ${Math.round(n % 60)} s`;
  if (n >= 1) return `${n.toFixed(1)} s`;
  return n >= 0.01 ? `${(n * 1000).toFixed(0)} ms` : `${(n * 1000).toFixed(1)} ms`;
}

export const rate = (n: number): string => n.toFixed(n < 100 ? 1 : 0);
export const percent = (share: number): string => `${(share * 100).toFixed(0)}%`;

export function parameters(n: number): string {
  return n >= 1e9 ? `${(n / 1e9).toFixed(1)} B` : `${(n / 1e6).toFixed(1)} M`;
}

export const when = (time: number | string, language: string): string =>
  new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en-GB", {
    dateStyle: "medium",
    timeStyle: "short",
  }).format(new Date(time));
