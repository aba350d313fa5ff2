// The 95% interval of a share (Wilson), as the report's.
const Z = 1.96;

export function wilson(right: number, n: number): { low: number; high: number } {
  const p = right / n,
    z2 = Z * Z;
  const middle = p + z2 / (2 * n);
  const spread = Z * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n * n));
  return {
    low: Math.max(0, (middle - spread) / (1 + z2 / n)),
    high: Math.min(1, (middle + spread) / (1 + z2 / n)),
  };
}
