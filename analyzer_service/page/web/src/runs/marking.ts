// Changing tags, notes and the archive: one change at a time, and never over somebody else's unseen.
import { useCallback, useState } from "preact/hooks";

import { ApiError, apiUrl, send } from "../base/api";
import type { Marks, Run } from "./listing";

export type Change = Partial<Pick<Marks, "tags" | "note" | "archived">>;

/** A change that somebody else's came before: theirs is kept until a person decides. */
export interface Conflict {
  run: string;
  change: Change;
  current: Marks;
}

/** What was just done, and how it is taken back. */
export interface Done {
  words: string;
  undo?: () => void;
}

/** Whether the server has a change, asks about it, or did not take it. */
export type Outcome = "kept" | "conflict" | "failed";

export interface Marking {
  /** Make a change of the marks of `version`. */
  mark: (run: string, version: number, change: Change) => Promise<Outcome>;
  archive: (run: Run, archived: boolean) => Promise<void>;
  conflict: Conflict | null;
  settle: (takeOver: boolean) => Promise<void>;
  done: Done | null;
  forget: () => void;
  failed: unknown;
}

export function useMarking(marked: (run: string, marks: Marks) => void): Marking {
  const [conflict, setConflict] = useState<Conflict | null>(null);
  const [done, setDone] = useState<Done | null>(null);
  const [failed, setFailed] = useState<unknown>(null);

  const patch = useCallback(
    async (run: string, version: number, change: Change): Promise<Marks | Outcome> => {
      setFailed(null);
      try {
        const marks = await send<Marks>("PATCH", apiUrl(["runs", run]), { version, ...change });
        marked(run, marks);
        return marks;
      } catch (error) {
        if (error instanceof ApiError && error.status === 409 && error.body.current) {
          setConflict({ run, change, current: error.body.current as Marks });
          return "conflict";
        }
        setFailed(error);
        return "failed";
      }
    },
    [marked],
  );

  const mark = useCallback(
    async (run: string, version: number, change: Change): Promise<Outcome> => {
      const answer = await patch(run, version, change);
      return typeof answer === "string" ? answer : "kept";
    },
    [patch],
  );

  const archive = useCallback(
    async ({ run, version }: Pick<Run, "run" | "version">, archived: boolean) => {
      const marks = await patch(run, version, { archived });
      if (typeof marks === "string") return;
      const undo = async () => {
        const back = await patch(run, marks.version, { archived: !archived });
        if (typeof back !== "string") setDone(null);
      };
      setDone({ words: `${run} ${archived ? "is archived" : "is back in the list"}.`, undo });
    },
    [patch],
  );

  const settle = useCallback(
    async (takeOver: boolean) => {
      if (conflict === null) return;
      setConflict(null);
      if (takeOver) await patch(conflict.run, conflict.current.version, conflict.change);
      else marked(conflict.run, conflict.current);
    },
    [conflict, patch, marked],
  );

  const forget = useCallback(() => {
    setDone(null);
    setFailed(null);
  }, []);

  return { mark, archive, conflict, settle, done, forget, failed };
}
