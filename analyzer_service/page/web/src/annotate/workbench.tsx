// One reader's workplace: tools, tiles, the open tile, and what is said of it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { Bar, Empty, Failed, Loading } from "../base/frame";
import { Assist } from "./canvas/assist";
import { Stage, type Easel } from "./canvas/stage";
import { listenToKeys } from "./keys";
import { Agreement } from "./panels/agreement";
import { Classes } from "./panels/classes";
import { Ask } from "./panels/dialog";
import { Facts, Files } from "./panels/files";
import { Help } from "./panels/help";
import { MarkList } from "./panels/marks";
import { Record } from "./panels/record";
import { Refusals, SavingState } from "./panels/saving";
import { Seen } from "./panels/seen";
import { filtered, Strip, type Filter } from "./panels/strip";
import { Toolbar } from "./panels/toolbar";
import { Attention } from "./state/attention";
import { Desk, type Tool } from "./state/desk";
import { Images } from "./state/images";
import { Session } from "./state/session";
import { useSignals } from "./state/signal";
import type { TileFacts } from "./state/types";
import { Work } from "./state/work";

const PEEK_MS = 400;
const TOOL_KEYS: Record<string, Tool> = {
  v: "select", p: "polygon", f: "freehand", o: "point", e: "edit", m: "move", u: "union", s: "subtract",
};

interface WorkbenchProps {
  run: string;
  reader: string;
  changeReader: () => void;
}

export function Workbench({ run, reader, changeReader }: WorkbenchProps) {
  const bench = useMemo(() => makeBench(run, reader), [run, reader]);
  const { session, desk, work, attention, images } = bench;
  const easel = useRef<Easel | null>(null);
  const [filter, setFilter] = useState<Filter>("all");
  const [asked, setAsked] = useState<"help" | "attention" | "others" | null>(null);
  const [othersVisible, setOthersVisible] = useState(false);
  useSignals(session.changes, desk.changes);

  useEffect(() => {
    session.start();
    const warn = (event: BeforeUnloadEvent) => {
      if (session.outbox.saving.lost) event.preventDefault();
    };
    addEventListener("beforeunload", warn);
    return () => {
      removeEventListener("beforeunload", warn);
      session.close();
      images.close();
    };
  }, [bench]);

  const open = (tile: TileFacts) => {
    if (easel.current?.tools.drawing) {
      desk.say("Finish the shape first, or give it up with Escape.");
      return;
    }
    attention.reset();
    setOthersVisible(false);
    desk.select([]);
    void session.open(tile);
    history.replaceState(null, "", `#${encodeURIComponent(tile.tile)}`);
    const tiles = session.overview?.tiles ?? [];
    const at = tiles.findIndex((each) => each.tile === tile.tile);
    desk.say(`Tile ${at + 1} of ${tiles.length}.`);
    const next = tiles[at + 1];
    if (next) images.get(next.tile).catch(() => {});
  };
  const go = (steps: 1 | -1) => {
    const tiles = filtered(session, filter);
    const at = tiles.findIndex(({ tile }) => tile === session.tile?.tile);
    const next = tiles[at + steps];
    if (next) open(next);
    else desk.say(steps > 0 ? "This is the last tile." : "This is the first tile.");
  };
  const nextOpen = () => {
    const tiles = session.overview?.tiles ?? [];
    const at = tiles.findIndex(({ tile }) => tile === session.tile?.tile);
    const turned = [...tiles.slice(at + 1), ...tiles.slice(0, at + 1)];
    const next = turned.find((tile) => session.status(tile).status === "open");
    if (next) open(next);
    else desk.say("Every tile is done.");
  };

  // The first tile: the one that the address names, or else the first open one.
  const any = (session.overview?.tiles.length ?? 0) > 0;
  useEffect(() => {
    const tiles = session.overview?.tiles ?? [];
    const first = tileOfAddress(tiles) ?? tiles.find((tile) => tile.status === "open") ?? tiles[0];
    if (first && !session.tile) open(first);
    const named = () => {
      const tile = tileOfAddress(session.overview?.tiles ?? []);
      if (tile && tile.tile !== session.tile?.tile) acts.current.open(tile);
    };
    addEventListener("hashchange", named);
    return () => removeEventListener("hashchange", named);
  }, [bench, any]);

  const toggleAttention = () => {
    if (attention.visible) attention.hide();
    else if (attention.seen || bench.attentionAgreed) void attention.show();
    else setAsked("attention");
  };
  const showOthers = () =>
    session.askForOthers().then(
      () => setOthersVisible(true),
      (error: unknown) => desk.say(`Others’ marks cannot be shown: ${error instanceof Error ? error.message : error}`),
    );
  const toggleOthers = () => {
    if (othersVisible) setOthersVisible(false);
    else if (session.marks?.record.others_shown_at) void showOthers();
    else setAsked("others");
  };

  const pressed = useRef(0);
  const acts = useRef({ open, go, nextOpen, toggleAttention });
  acts.current = { open, go, nextOpen, toggleAttention };
  useEffect(
    () =>
      listenToKeys({
        tool: (key) => {
          const tool = TOOL_KEYS[key];
          if (tool) work.take(tool);
          return tool !== undefined;
        },
        classAt: (at) => work.classify(at),
        undo: () => void (easel.current?.tools.back() || work.undo()),
        redo: () => work.redo(),
        remove: (backspace) => {
          const tools = easel.current?.tools;
          if (tools?.drawing) {
            if (backspace) tools.back();
          } else if (desk.tool !== "edit" || !tools?.removeCorner()) work.remove();
        },
        finish: () => {
          const drawing = easel.current?.tools.drawing ?? false;
          if (drawing) easel.current?.tools.finish();
          return drawing;
        },
        cancel: () => {
          if (easel.current?.tools.cancel()) desk.say("Given up.");
          else if (desk.selected.length) desk.select([]);
          else work.take("select");
        },
        go: (steps) => acts.current.go(steps),
        nextOpen: () => acts.current.nextOpen(),
        zoom: (steps) => easel.current?.canvas.zoom(steps),
        fit: () => easel.current?.canvas.fit(),
        labels: () => desk.label(!desk.labels),
        help: () => setAsked("help"),
        attention: (held) => {
          if (held === "down") {
            pressed.current = attention.visible ? 0 : performance.now();
            acts.current.toggleAttention();
          } else if (attention.visible && pressed.current) {
            if (performance.now() - pressed.current > PEEK_MS) attention.hide();
            pressed.current = 0;
          }
        },
        pan: (on) => {
          const tools = easel.current?.tools;
          if (!tools) return false;
          const was = tools.panning;
          tools.panning = on && (was || document.querySelector(".canvas:hover") !== null);
          return was || tools.panning;
        },
      }),
    [bench],
  );

  const { overview, tile, marks } = session;
  return (
    <div class="annotator">
      <div class="head">
        <Bar>
          <a href={`/runs/${encodeURIComponent(run)}`}>{run}</a>
          <h1 class="visually-hidden">Annotate {run}</h1>
          <SavingState session={session} />
          <button class="quiet" onClick={changeReader} title="Change who is reading">
            <span class="visually-hidden">Reader: </span>
            {reader}
          </button>
        </Bar>
        <Refusals session={session} />
        <Toolbar
          work={work}
          attention={attention}
          toggleAttention={toggleAttention}
          zoom={(steps) => easel.current?.canvas.zoom(steps)}
          fit={() => easel.current?.canvas.fit()}
          help={() => setAsked("help")}
        />
      </div>
      {session.failure !== null && (
        <main class="content">
          <Failed error={session.failure} retry={() => void session.loadOverview()} />
        </main>
      )}
      {session.failure === null && !overview && (
        <main class="content">
          <Loading what="tiles" />
        </main>
      )}
      {overview && overview.tiles.length === 0 && (
        <main class="content">
          <Empty title="This run has kept no tile yet.">
            <p>Tiles appear here with its first detailed validation step. The list is brought up to date by itself.</p>
          </Empty>
        </main>
      )}
      {overview && overview.tiles.length > 0 && (
        <>
          <Strip session={session} filter={filter} setFilter={setFilter} open={open} nextOpen={nextOpen} />
          <main class="middle-part">
            <Stage
              work={work}
              attention={attention}
              images={images}
              othersVisible={othersVisible}
              ready={(made) => {
                easel.current = made;
              }}
            />
            <Assist work={work} tools={() => easel.current?.tools} />
          </main>
          <aside class="side" aria-label="This tile">
            {marks ? (
              <>
                <div>
                  <Classes work={work} />
                  <Record work={work} />
                </div>
                <div>
                  <Seen
                    work={work}
                    attention={attention}
                    toggleAttention={toggleAttention}
                    othersVisible={othersVisible}
                    toggleOthers={toggleOthers}
                  />
                  <MarkList work={work} mpp={tile?.mpp ?? null} />
                  <Agreement work={work} othersVisible={othersVisible} />
                  <Facts work={work} />
                  <Files work={work} />
                </div>
              </>
            ) : (
              !session.tileFailure && <Loading what="marks" />
            )}
          </aside>
        </>
      )}
      {asked === "help" && <Help close={() => setAsked(null)} />}
      {asked === "attention" && (
        <AskForAttention
          answer={(yes, always) => {
            setAsked(null);
            if (always) bench.attentionAgreed = true;
            if (yes) void attention.show();
          }}
        />
      )}
      {asked === "others" && (
        <Ask
          title="Show others’ marks on this tile?"
          yes="Show them"
          answer={(yes) => {
            setAsked(null);
            if (yes) void showOthers();
          }}
        >
          <p>
            What you mark from then on is no longer independent of other readers. That they were
            shown is recorded with your marks of this tile, and stays so.
          </p>
        </Ask>
      )}
    </div>
  );
}

function tileOfAddress(tiles: readonly TileFacts[]): TileFacts | undefined {
  const name = decodeURIComponent(location.hash.slice(1));
  return tiles.find(({ tile }) => tile === name);
}

function AskForAttention({ answer }: { answer: (yes: boolean, always: boolean) => void }) {
  const [always, setAlways] = useState(false);
  return (
    <Ask title="Show attention on this tile?" yes="Show it" answer={(yes) => answer(yes, yes && always)}>
      <p>
        What you mark from then on is no longer blind to what the model looks at. That attention was
        shown is recorded with your marks of this tile, and stays so.
      </p>
      <label>
        <input
          type="checkbox"
          checked={always}
          onChange={(event) => setAlways(event.currentTarget.checked)}
        />{" "}
        Do not ask again until this page is closed; it is recorded all the same
      </label>
    </Ask>
  );
}

function makeBench(run: string, reader: string) {
  const session = new Session(run, reader);
  const desk = new Desk();
  return {
    session,
    desk,
    work: new Work(session, desk),
    attention: new Attention(session),
    images: new Images(session.server),
    attentionAgreed: false,
  };
}
