"use strict";
// One 2AFC session: consent, instructions, trials, and a file for the rater to keep. Nothing is sent anywhere.
(function () {
  const experiment = JSON.parse(document.getElementById("experiment").textContent);
  const plan = experiment.plan;
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  const rater = seed.toString(16).padStart(8, "0");
  const started = new Date().toISOString();

  // mulberry32, a small public-domain generator: the seed in the results gives the same session again
  let state = seed;
  function random() {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  function below(n) {
    return Math.floor(random() * n);
  }
  function shuffled(items) {
    const out = items.slice();
    for (let i = out.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }
  function targets(count) {
    const all = [...Array(plan.pictures).keys()];
    let out = [];
    while (out.length < count) out = out.concat(shuffled(all));
    return out.slice(0, count);
  }
  function trial(kind, target) {
    const other = (target + 1 + below(plan.pictures - 1)) % plan.pictures;
    return { kind: kind, target: target, other: other, own_side: below(2) };
  }

  const trials = shuffled(
    targets(plan.trials).map((t) => trial("pair", t)).concat(targets(plan.catches).map((t) => trial("catch", t)))
  );

  function image(uri, what) {
    return '<img class="picture" alt="' + what + '" src="' + uri + '">';
  }
  function screen(t, k) {
    const from = t.kind === "catch" ? experiment.shown : experiment.reconstructions;
    const sides = t.own_side === 0 ? [t.target, t.other] : [t.other, t.target];
    return {
      type: jsPsychHtmlButtonResponse,
      stimulus: "<p>" + (k + 1) + " of " + trials.length + "</p>" + image(experiment.shown[t.target], "upper picture"),
      prompt: "<p>Which of the two is more like the picture above?</p>",
      choices: [image(from[sides[0]], "left picture"), image(from[sides[1]], "right picture")],
      enable_button_after: 200,
      post_trial_gap: 250,
      data: t,
      on_finish: function (data) {
        done.push({
          kind: t.kind, target: t.target, other: t.other, own_side: t.own_side, response_side: data.response,
          rt_ms: Math.round(data.rt),
        });
      },
    };
  }

  const done = [];
  function results() {
    return JSON.stringify(
      { format: experiment.format, plan: plan, rater: rater, seed: seed, started: started,
        finished: new Date().toISOString(), trials: done }, null, 1);
  }
  function download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([results()], { type: "application/json" }));
    link.download = "prosthesis-2afc-" + rater + ".json";
    document.body.appendChild(link);
    link.click();
    link.remove();
  }

  const jsPsych = initJsPsych();
  const consent = {
    type: jsPsychHtmlButtonResponse,
    stimulus: '<div class="consent" id="consent"></div>',
    choices: ["I agree", "I do not agree"],
    on_load: function () {
      document.getElementById("consent").textContent = experiment.consent;
    },
    on_finish: function (data) {
      if (data.response !== 0) jsPsych.abortExperiment("<p>Thank you. Nothing was recorded; you can close the page.</p>");
    },
  };
  const instructions = {
    type: jsPsychHtmlButtonResponse,
    stimulus:
      "<p>You will see one picture above and two below.</p>" +
      "<p>Choose the lower one that is <b>more like</b> the upper one. If you cannot tell, guess.</p>" +
      "<p>There are " + trials.length + " choices. Take the time you need.</p>",
    choices: ["Begin"],
  };
  const end = {
    type: jsPsychHtmlButtonResponse,
    stimulus:
      "<p>Thank you. Please save your results and hand the file to the experimenter.</p>" +
      '<p><button class="jspsych-btn" id="download">Download results</button></p><p>Your code is <b>' + rater + "</b>.</p>",
    choices: [],
    on_load: function () {
      document.getElementById("download").addEventListener("click", download);
    },
  };
  window.prosthesisResults = results;
  jsPsych.run([consent, instructions, ...trials.map(screen), end]);
})();
