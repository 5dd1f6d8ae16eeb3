/** Put a text on the clipboard; whether that worked. Plain-http addresses have no `navigator.clipboard`, only the old way. */
export async function copy(text: string): Promise<boolean> {
  if (window.isSecureContext) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  const box = document.createElement("textarea");
  box.value = text;
  // Inside an open dialog everything outside of it is inert, and nothing there can be selected.
  (document.querySelector("dialog[open]") ?? document.body).append(box);
  box.select();
  const copied = document.execCommand("copy");
  box.remove();
  return copied;
}
