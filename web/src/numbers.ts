/** Numbers of the API with the digits that the API sent. Pure. */

/** A JSON number: its text as it came, for showing, and its value, for drawing and sorting. */
export interface Num {
  readonly text: string;
  readonly value: number;
}

interface ReviverContext {
  readonly source?: string;
}

/**
 * Parses JSON, and turns each number into a `Num`.
 *
 * A double would lose digits: `0.10` would become `0.1`, and a long price would be rounded. So the text of the number is
 * kept where the browser gives it to the reviver (Chrome 114, Firefox 135, Safari 18.4). In an older browser, the text is
 * that of the double.
 */
export function parseJson(body: string): unknown {
  return JSON.parse(body, revive as (key: string, value: unknown) => unknown);
}

export function revive(_key: string, value: unknown, context?: ReviverContext): unknown {
  return typeof value === "number" ? { text: plain(context?.source ?? String(value)), value } : value;
}

/** The digits of a number without an exponent: `1E-8` is `0.00000001`. DynamoDB has none beyond 10 to the 130. */
function plain(text: string): string {
  const [, sign, whole, fraction = "", power] = /^(-?)(\d+)(?:\.(\d+))?e([+-]?\d+)$/i.exec(text) ?? [];
  const places = Number(power);
  if (whole === undefined || Math.abs(places) > 130) return text;
  const digits = "0".repeat(Math.max(0, 1 - places - whole.length)) + whole + fraction + "0".repeat(Math.max(0, places - fraction.length));
  const point = digits.length - Math.max(0, fraction.length - places);
  const before = digits.slice(0, point).replace(/^0+(?=\d)/, "");
  return `${sign}${before}${point < digits.length ? `.${digits.slice(point)}` : ""}`;
}

/** How many digits follow the point of a number's text. A number with an exponent has none that count. */
export function decimals(text: string): number {
  const point = text.indexOf(".");
  return point < 0 || /e/i.test(text) ? 0 : text.length - point - 1;
}
