/** Whether Ferry lives, and whether it does its work. */

export interface Health {
  /** The process does what it is for, or is on its way there: if not, start it again. */
  readonly live: boolean;
  /** Work goes on undisturbed: if not, somebody should look. */
  readonly ready: boolean;
  /** Why not, each a sentence. */
  readonly reasons: readonly string[];
}
