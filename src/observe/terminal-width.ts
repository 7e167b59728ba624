/** How wide a text is in a terminal, near enough to cut it to the width of a line. */

/** Columns of one character: 2 for those that East Asian scripts and emoji take, 0 for combining marks. */
function widthOf(char: string): number {
  if (/^[\p{Mark}\p{Format}]/u.test(char)) return 0;
  const code = char.codePointAt(0) ?? 0;
  const wide = (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xffe6) || code >= 0x1f300;
  return wide ? 2 : 1;
}

export function textWidth(text: string): number {
  let width = 0;
  for (const char of text) width += widthOf(char);
  return width;
}

/** The end of a path says more than its beginning: cuts there, with `…`. */
export function fitEnd(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text;
  let width = 1;
  let kept = '';
  for (const char of [...text].reverse()) {
    width += widthOf(char);
    if (width > columns) break;
    kept = char + kept;
  }
  return columns < 1 ? '' : `…${kept}`;
}
