/** Names of jobs, endpoints and destinations as the small numbers that rows hold. Names are few and never forgotten. */

import type { Database } from './database.ts';
import { numberOf, textOf, textValue, unreadable } from './rows.ts';

export class Names {
  readonly #db: Database;
  readonly #ids = new Map<string, number>();
  readonly #texts = new Map<number, string>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** The number of a name that some row may hold, or undefined. */
  find(name: string): number | undefined {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const row = this.#db.get('SELECT id FROM names WHERE name = ?', textValue(name));
    return row === undefined ? undefined : this.#keep(numberOf(row[0]), name);
  }

  /** The number of a name, made where it is new. Not inside a transaction: an undone one would leave a wrong number here. */
  make(name: string): number {
    const known = this.find(name);
    if (known !== undefined) return known;
    // Another process may make it in this moment: then theirs is ours.
    this.#db.run('INSERT INTO names (name) VALUES (?) ON CONFLICT DO NOTHING', textValue(name));
    const made = this.find(name);
    if (made === undefined) throw unreadable(name);
    return made;
  }

  text(id: number): string {
    const known = this.#texts.get(id);
    if (known !== undefined) return known;
    const row = this.#db.get('SELECT name FROM names WHERE id = ?', id);
    if (row === undefined) throw unreadable(id);
    const name = textOf(row[0]);
    this.#keep(id, name);
    return name;
  }

  #keep(id: number, name: string): number {
    this.#ids.set(name, id);
    this.#texts.set(id, name);
    return id;
  }
}
