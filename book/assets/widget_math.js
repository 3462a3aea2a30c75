// The widget manager asks MathJax 2 to typeset labels; these pages load MathJax 3.
window.MathJax = window.MathJax || {};
window.MathJax.Hub = {
  Queue: ([, , element]) =>
    window.MathJax.startup?.promise.then(() => window.MathJax.typesetPromise([element])),
};
