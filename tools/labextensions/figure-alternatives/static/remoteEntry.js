// JupyterLab shows an image of a cell's output without alternative text. This renders one as
// JupyterLab does, and gives it the text that the output's metadata hold: {"image/png": {"alt": …}}.
//
// And a link to a section of a notebook that is not open yet opens its first lines, because
// JupyterLab looks for the heading among what is drawn. This asks again, by the text of the cells.
//
// Written as what a bundler makes of an extension, so that none is needed: JupyterLab calls init
// with the modules that it shares, then get.
(() => {
  let shared;

  async function load(name) {
    const [version] = Object.values(shared[name]);
    return (await version.get())();
  }

  async function images() {
    const { RenderedImage } = await load("@jupyterlab/rendermime");

    class DescribedImage extends RenderedImage {
      async render(model) {
        await super.render(model);
        const { alt } = model.metadata[this.mimeType] ?? {};
        const image = this.node.querySelector("img");
        if (alt && image) {
          image.alt = alt;
        }
      }
    }

    return {
      id: "figure-alternatives:image",
      rendererFactory: {
        safe: true,
        mimeTypes: ["image/png"],
        defaultRank: 90,
        createRenderer: (options) => new DescribedImage(options),
      },
      dataType: "string",
    };
  }

  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  async function land(shell, { path, id }) {
    let panel = shell.currentWidget;
    for (let looks = 0; looks < 100 && panel?.context?.path !== path; looks += 1) {
      await pause(100);
      panel = shell.currentWidget;
    }
    if (panel?.context?.path !== path || !panel.content.widgets) {
      return;
    }
    await panel.revealed;
    const heading = `#heading=${decodeURIComponent(id.replace(/^#/, ""))}`;
    for (let times = 0; times < 3; times += 1) {
      await pause(300); // cells find their places
      await panel.content.setFragment(heading);
    }
  }

  const links = {
    id: "figure-alternatives:links",
    autoStart: true,
    activate: ({ commands, shell }) => {
      commands.commandExecuted.connect((sender, { id, args }) => {
        if (id === "rendermime:handle-local-link" && args.id) {
          land(shell, args);
        }
      });
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["figure-alternatives"] = {
    init: (scope) => {
      shared = scope;
    },
    get: async (name) => {
      const made = { default: name === "./extension" ? links : await images(), __esModule: true };
      return () => made;
    },
  };
})();
