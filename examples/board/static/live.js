// Pins notes to the open page as they are made, from the server-sent events of the API.
const board = document.querySelector("[data-live]");
const source = new EventSource(board.dataset.live);

source.onmessage = (event) => {
  const note = JSON.parse(event.data);
  const shown = board.dataset.color;
  if (document.getElementById(`note-${note.id}`) || (shown && shown !== note.color)) return;
  board.querySelector(".empty")?.remove();
  board.prepend(card(note));
};

function card(note) {
  const article = element("article", { id: `note-${note.id}`, className: `note fresh ${note.color}` });
  if (note.picture) article.append(element("img", { src: `/pictures/${note.picture}`, alt: "" }));
  const link = element("a", { href: `/notes/${note.id}` });
  link.append(element("time", { dateTime: note.created, textContent: "just now" }));
  const footer = element("footer", {});
  footer.append(link, ` ${note.author}`);
  article.append(element("p", { textContent: note.text }), footer);
  return article;
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}
