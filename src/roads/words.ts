/** A command line as a list of words, for a program that is started without a shell. Loads nothing. */

/** What only a shell understands. A `~`, `*` or `?` may as well be meant as it is. */
const SHELL_ONLY = /[|&;<>()$`\n]/;

/**
 * Spaces separate words; `'…'` keeps everything as it is, `"…"` all but `\"` and `\\`, and a backslash the next
 * character.
 * @returns what is wrong, in words, where it is no plain command line
 */
export function wordsOf(text: string): readonly string[] | string {
  const words: string[] = [];
  let rest = text.trimStart();
  while (rest !== '') {
    let word = '';
    while (rest !== '' && !/^\s/.test(rest)) {
      const [piece = ''] = /^'[^']*'|^"(?:[^"\\]|\\.)*"|^\\.|^[^\s'"\\]+/s.exec(rest) ?? [];
      if (piece === '') return 'a quote or a backslash has nothing after it to belong to';
      const plain = !/^['"\\]/.test(piece);
      if (plain && SHELL_ONLY.test(piece)) return `${SHELL_ONLY.exec(piece)?.[0]} is something for a shell`;
      word += plain ? piece : meant(piece);
      rest = rest.slice(piece.length);
    }
    words.push(word);
    rest = rest.trimStart();
  }
  return words.length === 0 ? 'there is no command' : words;
}

function meant(piece: string): string {
  if (piece.startsWith('\\')) return piece.slice(1);
  const inside = piece.slice(1, -1);
  return piece.startsWith("'") ? inside : inside.replace(/\\(["\\$`])/g, '$1');
}
