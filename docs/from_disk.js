// The search of these pages needs a server: opened from disk they do without its box.
if (location.protocol === "file:") {
  for (const part of document.querySelectorAll(".md-search, .md-header__button[for=__search]")) part.style.display = "none";
}
