/** A clock for everything that shows an age: one timer, which rests while the page is hidden. */
export function ticker(): (listener: (now: number) => void) => () => void {
  const listeners = new Set<(now: number) => void>();
  const tick = (): void => {
    if (!document.hidden) for (const listener of [...listeners]) listener(Date.now());
  };
  setInterval(tick, 1_000);
  document.addEventListener("visibilitychange", tick);
  return (listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
}
