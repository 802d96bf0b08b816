// JupyterLab shows an image of a cell's output without alternative text. This renders one as
// JupyterLab does, and gives it the text that the output's metadata hold: {"image/png": {"alt": …}}.
//
// Written as what a bundler makes of an extension, so that none is needed: JupyterLab calls init
// with the modules that it shares, then get.
(() => {
  let shared;

  async function load(name) {
    const [version] = Object.values(shared[name]);
    return (await version.get())();
  }

  async function extension() {
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

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["figure-alternatives"] = {
    init: (scope) => {
      shared = scope;
    },
    get: async () => {
      const made = { default: await extension(), __esModule: true };
      return () => made;
    },
  };
})();
