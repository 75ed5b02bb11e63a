// A question or a text in front of the page. Escape closes it; focus returns to where it was.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

interface DialogProps {
  title: string;
  /** Null: it cannot be left without an answer. */
  close: (() => void) | null;
  children: ComponentChildren;
}

export function Dialog({ title, close, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const dialog = element.current!;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={element}
      class="asking"
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        close?.();
      }}
      onClose={() => {
        // Browsers close a dialog at a second Escape, whatever the page says to the first.
        if (close) close();
        else if (element.current?.isConnected) element.current.showModal();
      }}
    >
      <header>
        <h2 id={heading}>{title}</h2>
        {close && (
          <button class="quiet" aria-label="Close" onClick={close}>
            ✕
          </button>
        )}
      </header>
      {children}
    </dialog>
  );
}

interface AskProps {
  title: string;
  yes: string;
  answer: (yes: boolean) => void;
  children: ComponentChildren;
}

/** A question with two answers. */
export function Ask({ title, yes, answer, children }: AskProps) {
  return (
    <Dialog title={title} close={() => answer(false)}>
      {children}
      <form
        class="answers"
        onSubmit={(event) => {
          event.preventDefault();
          answer(true);
        }}
      >
        <button type="button" onClick={() => answer(false)}>
          Cancel
        </button>
        <button class="primary" autofocus>
          {yes}
        </button>
      </form>
    </Dialog>
  );
}
